"""Reads an exported checkpoint back into the modules of training, to continue from it."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import nn

from examples.train_demo.codec import CHANNELS, COMPONENTS, Basis, make_vae
from examples.train_demo.flux_file import merge_lora, read_flux
from examples.train_demo.model import DemoModel
from uso_core.loading.key_mapping import vae_rules


@torch.no_grad()
def read_model(folder: Path, model: DemoModel) -> None:
    """Fill `model` with an exported checkpoint, whose precision is fp16."""
    flux = load_file(folder / "flux1-dev.safetensors")
    merged = merge_lora(flux, load_file(folder / "dit_lora.safetensors"))
    read_flux(merged, model.transformer)
    text = load_file(folder / "t5" / "model.safetensors")
    model.transformer.table.copy_(text["shared.weight"])
    model.transformer.table_scale.copy_(text["encoder.final_layer_norm.weight"])
    _fill(model.clip, folder / "clip" / "model.safetensors", "text_model.")
    _fill(model.style.siglip, folder / "siglip" / "model.safetensors", "vision_model.")
    _fill(model.style.projector, folder / "projector.safetensors", "")


@torch.no_grad()
def read_vae(folder: Path) -> tuple[AutoencoderKL, Basis]:
    """Return an exported VAE, and the linear code that its encoder computes."""
    tensors = load_file(folder / "ae.safetensors")
    blank = Basis(
        torch.eye(COMPONENTS, 192),
        torch.zeros(COMPONENTS),
        torch.eye(192, COMPONENTS),
        torch.ones(CHANNELS),
    )
    vae = make_vae(blank)
    state = vae.state_dict()
    for rule in vae_rules(state):
        target = rule.targets[0]
        state[target] = tensors[rule.source].float().reshape(state[target].shape)
    vae.load_state_dict(state)
    return vae, _basis_of(vae)


def _basis_of(vae: AutoencoderKL) -> Basis:
    """Measure the encoder: it is linear, so 192 pictures of one bright pixel show all of it."""
    pixels = torch.eye(192).reshape(192, 3, 8, 8)
    dark = vae.encode(torch.zeros(1, 3, 8, 8)).latent_dist.mean[0, :COMPONENTS, 0, 0]
    lit = vae.encode(pixels).latent_dist.mean[:, :COMPONENTS, 0, 0]
    matrix = (lit - dark).T
    scale = matrix.norm(dim=1)
    weights = torch.nn.functional.pad(scale**-2, (0, 1))
    inverse = (matrix / scale[:, None] ** 2).T
    return Basis(matrix, -dark, inverse, weights / weights.mean())


def _fill(module: nn.Module, path: Path, prefix: str) -> None:
    stored = {name.removeprefix(prefix): t.float() for name, t in load_file(path).items()}
    names = module.state_dict()
    module.load_state_dict({name: stored[name.removeprefix(prefix)] for name in names})
