"""USO's style projector: SigLIP hidden states in, tokens for the transformer's text stream out."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

LEVELS = {"high": -2, "mid": -11, "low": -20}
"""Index into SigLIP's `hidden_states` of each level, in the order of the style tokens."""


class StyleProjector(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is not typed
    """Projects three levels of SigLIP features to style tokens.

    Each level has a Linear over the token axis, SiLU, LayerNorm and a Linear to the transformer's
    width. Parameter names match the original's `projector.safetensors`.

    Args:
        style_token_nums: style tokens per level.
        siglip_token_nums: SigLIP's tokens (patches) per image.
        siglip_token_dims: SigLIP's width.
        hidden_size: the transformer's width.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        style_token_nums: int = 64,
        siglip_token_nums: int = 729,
        siglip_token_dims: int = 1152,
        hidden_size: int = 3072,
    ) -> None:
        super().__init__()
        modules: dict[str, nn.Module] = {}
        for level in LEVELS:
            modules[f"{level}_embedding_linear"] = nn.Sequential(
                nn.Linear(siglip_token_nums, style_token_nums), nn.SiLU()
            )
            modules[f"{level}_layer_norm"] = nn.LayerNorm(siglip_token_dims)
            modules[f"{level}_projection"] = nn.Linear(siglip_token_dims, hidden_size)
        self.feature_embedder = nn.ModuleDict(modules)

    def forward(self, hidden_states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Project all of SigLIP's hidden states.

        Args:
            hidden_states: one [B, siglip_token_nums, siglip_token_dims] for each layer.

        Returns:
            [B, 3 * style_token_nums, hidden_size]: first the high level, then mid, then low.
        """
        return torch.cat([self._project(level, hidden_states) for level in LEVELS], dim=1)

    def _project(self, level: str, hidden_states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        features = hidden_states[LEVELS[level]].transpose(1, 2)
        tokens = self.feature_embedder[f"{level}_embedding_linear"](features).transpose(1, 2)
        tokens = self.feature_embedder[f"{level}_layer_norm"](tokens)
        projected: torch.Tensor = self.feature_embedder[f"{level}_projection"](tokens)
        return projected
