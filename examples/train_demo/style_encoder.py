"""The style encoder: SigLIP and USO's projector, first taught to name the parts of a style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import SiglipVisionConfig, SiglipVisionModel

from examples.train_demo.data import StylePool
from examples.train_demo.dimensions import autocast
from examples.train_demo.styles import ANGLES, FAMILIES, LEVELS, Styles
from examples.train_demo.training import History, Plan, run_stage
from uso_core.model.style_projector import StyleProjector

STYLE_TOKENS = 8
"""Tokens of each of the projector's three levels."""
SIGLIP: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 21,  # the levels reach 20 layers back
    "num_attention_heads": 4,
    "image_size": 128,
    "patch_size": 16,
}
_ACTIVE = (0, 1, 2, 3, 11, 12, 13)
"""Layers that compute something; the others pass their input on, and are skipped in training."""
_LABELS = len(FAMILIES) + ANGLES + LEVELS * 3


class StyleEncoder(nn.Module):
    """Maps references [B, 3, 128, 128], 0 to 1, to style tokens [B, 24, width].

    Args:
        width: the transformer's width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        config = SiglipVisionConfig.from_dict(SIGLIP | {"vision_use_head": False})
        self.siglip = SiglipVisionModel(config)
        self.projector: StyleProjector = StyleProjector(
            style_token_nums=STYLE_TOKENS,
            siglip_token_nums=(SIGLIP["image_size"] // SIGLIP["patch_size"]) ** 2,
            siglip_token_dims=SIGLIP["hidden_size"],
            hidden_size=width,
        )
        self.names = nn.Linear(width, _LABELS)  # of the first stage alone
        self._silence()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode references."""
        hidden = self.siglip.embeddings(pictures * 2 - 1)
        states = [hidden]
        for index, layer in enumerate(self.siglip.encoder.layers):
            hidden = layer(hidden, None) if index in _ACTIVE else hidden
            states.append(hidden)
        tokens: torch.Tensor = self.projector(tuple(states))
        return tokens

    def naming_loss(self, tokens: torch.Tensor, styles: Styles) -> dict[str, torch.Tensor]:
        """Return how badly the parts of a style can be read from its tokens.

        They are read as attention will read them: from the mean of the normed tokens.
        """
        read = self.names(functional.layer_norm(tokens, tokens.shape[2:]).mean(1))
        families, angles, palette = read.split((len(FAMILIES), ANGLES, LEVELS * 3), dim=1)
        right = (families.argmax(1) == styles.family).float().mean()
        squared = (palette - styles.palette.flatten(1)).pow(2).mean()
        angled = torch.isin(styles.family, torch.tensor([1, 5]))
        angle = functional.cross_entropy(angles, styles.angle, reduction="none")
        loss = functional.cross_entropy(families, styles.family) + (angle * angled).mean()
        return {"loss": loss + 20 * squared, "family right": right, "palette": squared}

    def _silence(self) -> None:
        for index, layer in enumerate(self.siglip.encoder.layers):
            if index in _ACTIVE:
                continue
            for module in (layer.self_attn.out_proj, layer.mlp.fc2):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
            layer.requires_grad_(requires_grad=False)


def train_style_encoder(
    encoder: StyleEncoder, pool: StylePool, folder: Path, minutes: float
) -> History:
    """Teach `encoder` to name styles, in place."""

    def loss(generator: torch.Generator) -> dict[str, torch.Tensor]:
        styles, pictures = pool.sample(32, generator)
        with autocast():
            tokens = encoder(pictures)
        return encoder.naming_loss(tokens.float(), styles)

    return run_stage(Plan("style-encoder", minutes, 2e-3), encoder, loss, folder)
