"""Tiny networks with random weights, in the files in which the real ones are published."""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel

WIDTH, LAYERS, PATCH, SIDE, STYLE = 64, 2, 8, 32, 24
VGG_WIDTHS = (3, 4, 4, 8, 8, 8, 8, 8, 8, 12, 12, 12, 12, 12, 12, 12, 12)
VGG_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)


@dataclass(frozen=True)
class Shown:
    """An image with a hash of its pixels."""

    image: Image.Image

    @property
    def key(self) -> bytes:
        return sha256(self.image.tobytes()).digest()


def picture(seed: int, width: int = 45, height: int = 40) -> Image.Image:
    """Return an image with large and small shapes."""
    random = np.random.default_rng(seed)
    rough = random.integers(0, 256, (4, 5, 3), np.uint8)
    grown = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
    noise = random.integers(-20, 20, (height, width, 3))
    return Image.fromarray((np.asarray(grown) + noise).clip(0, 255).astype(np.uint8))


def save_clip(folder: Path) -> CLIPModel:
    """Write the folder of a CLIP with a tokenizer, and return it."""
    tower = {"hidden_size": WIDTH, "intermediate_size": 96, "num_hidden_layers": LAYERS}
    ends = {"bos_token_id": 5, "eos_token_id": 6, "pad_token_id": 6}
    config = CLIPConfig(
        vision_config=tower | {"num_attention_heads": 2, "image_size": SIDE, "patch_size": PATCH},
        text_config=tower | {"num_attention_heads": 2, "vocab_size": 100} | ends,
        projection_dim=16,
    )
    torch.manual_seed(3)
    model = CLIPModel(config).eval()
    _spread(model)
    model.save_pretrained(folder)
    _save_vocabulary(folder)
    return model


def save_dino(folder: Path) -> ViTModel:
    """Write the folder of a DINO, and return it."""
    config = ViTConfig(
        hidden_size=WIDTH,
        intermediate_size=96,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=PATCH,
    )
    torch.manual_seed(4)
    model = ViTModel(config, add_pooling_layer=False).eval()
    _spread(model)
    model.save_pretrained(folder)
    return model


def csd_tensors() -> dict[str, torch.Tensor]:
    """Return the tensors of a CSD, with the names of its published file."""
    block = {
        "ln_1.weight": (WIDTH,),
        "ln_1.bias": (WIDTH,),
        "attn.in_proj_weight": (3 * WIDTH, WIDTH),
        "attn.in_proj_bias": (3 * WIDTH,),
        "attn.out_proj.weight": (WIDTH, WIDTH),
        "attn.out_proj.bias": (WIDTH,),
        "ln_2.weight": (WIDTH,),
        "ln_2.bias": (WIDTH,),
        "mlp.c_fc.weight": (4 * WIDTH, WIDTH),
        "mlp.c_fc.bias": (4 * WIDTH,),
        "mlp.c_proj.weight": (WIDTH, 4 * WIDTH),
        "mlp.c_proj.bias": (WIDTH,),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "last_layer_style": (WIDTH, STYLE),
        "last_layer_content": (WIDTH, STYLE),
        "backbone.class_embedding": (WIDTH,),
        "backbone.positional_embedding": ((SIDE // PATCH) ** 2 + 1, WIDTH),
        "backbone.conv1.weight": (WIDTH, 3, PATCH, PATCH),
        **{
            f"backbone.{n}.{k}": (WIDTH,) for n in ("ln_pre", "ln_post") for k in ("weight", "bias")
        },
    }
    for layer in range(LAYERS):
        start = f"backbone.transformer.resblocks.{layer}"
        shapes |= {f"{start}.{name}": shape for name, shape in block.items()}
    return _random(shapes, seed=5)


def save_csd(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a training checkpoint like the published one: a pickle of numpy 1, not only tensors."""
    optimizer = {"state": {}, "param_groups": [{"lr": np.float64(1e-4), "params": [0]}]}
    document = {
        "model_state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()},
        "opt_bb": optimizer,
        "opt_proj": optimizer,
        "iter": 80_000,
        "args": argparse.Namespace(arch="vit_large", lr=np.float64(0.003)),
        "fp16_scaler": {"scale": 65536.0},
    }
    torch.save(document, path)
    _name_as_numpy_1(path)


def vgg_tensors() -> dict[str, torch.Tensor]:
    """Return the tensors of a VGG-19, with torchvision's names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for at, inputs, outputs in zip(VGG_CONVOLUTIONS, VGG_WIDTHS[:-1], VGG_WIDTHS[1:], strict=True):
        shapes[f"features.{at}.weight"] = (outputs, inputs, 3, 3)
        shapes[f"features.{at}.bias"] = (outputs,)
    shapes |= {"classifier.0.weight": (4, 12), "classifier.0.bias": (4,)}
    return _random(shapes, seed=6)


def head_tensors(width: int = 16) -> dict[str, torch.Tensor]:
    """Return the tensors of an aesthetic predictor for embeddings of this width."""
    widths = (width, 12, 10, 8, 6, 1)
    shapes: dict[str, tuple[int, ...]] = {}
    for at, inputs, outputs in zip((0, 2, 4, 6, 7), widths[:-1], widths[1:], strict=True):
        shapes |= {f"layers.{at}.weight": (outputs, inputs), f"layers.{at}.bias": (outputs,)}
    return _random(shapes, seed=7)


def _name_as_numpy_1(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            assert (old != content) == name.endswith("/data.pkl")
            archive.writestr(name, old)


def _random(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator) * (0.5 if len(shape) < 4 else 0.2)
        for name, shape in shapes.items()
    }


def _spread(model: torch.nn.Module) -> None:
    """Make the weights large enough for different images to get different vectors."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)


def _save_vocabulary(folder: Path) -> None:
    letters = [*"acdginostw", *(f"{letter}</w>" for letter in "acdginostw")]
    merges = ["c a", "ca t</w>", "d o", "do g</w>", "i n</w>", "s n", "o w</w>", "sn ow</w>"]
    joined = [merge.replace(" ", "") for merge in merges]
    tokens = [*letters, *joined, "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: 10 + at for at, token in enumerate(tokens)}
    vocabulary |= {"<|startoftext|>": 5, "<|endoftext|>": 6}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
