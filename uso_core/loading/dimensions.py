"""How large a model is, and how much arithmetic a picture takes; no torch, no weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from uso_core.loading import model_configs
from uso_core.loading.layouts import ComponentFiles
from uso_core.loading.source import ModelSource, find_model, tiny_seed

TEXT_TOKENS = 512
_STYLE_LEVELS = 3
_STYLE_KEY = "high_embedding_linear.0.weight"


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What of a FLUX transformer and a style projector decides about their arithmetic.

    The defaults are those of USO on FLUX.1-dev.

    Attributes:
        hidden: width of the transformer's tokens.
        blocks: double and single ones.
        style_tokens: that each style adds.
        text_tokens: of a prompt, padded.
    """

    hidden: int = 3072
    blocks: int = 57
    style_tokens: int = 192
    text_tokens: int = TEXT_TOKENS

    def step_flops(self, tokens: int) -> float:
        """Floating-point operations of one step over a sequence of `tokens` tokens."""
        return self.linear_flops(tokens) + self.attention_flops(tokens)

    def linear_flops(self, tokens: int) -> float:
        """Those of a step's linear layers.

        A double block and a single block have the same matrices per token: 12 times `hidden`²
        (queries, keys, values and their output, and a feed-forward layer four times as wide), each
        a multiplication and an addition.
        """
        return float(24 * self.hidden**2 * self.blocks * tokens)

    def attention_flops(self, tokens: int) -> float:
        """Those of a step's attention, which multiplies the tokens with each other twice."""
        return float(4 * self.hidden * self.blocks * tokens**2)


def dimensions_of(source: ModelSource) -> Dimensions:
    """The dimensions of a model whose files are on disk; FLUX.1-dev's where they are not.

    Raises:
        CheckpointError: there is no such model, or a file of it cannot be read.
    """
    if tiny_seed(source.base) is not None:
        flux = model_configs.transformer_arguments(model_configs.TINY_FLUX)
        return _dimensions(flux, _STYLE_LEVELS * model_configs.TINY_STYLE_TOKENS)
    model = find_model(source)
    if model.parts["transformer"].tree.folder is None:
        return Dimensions()
    # Guidance takes next to no arithmetic, so it does not matter whether it is there.
    flux = model_configs.transformer_config(model, guidance=True)
    return _dimensions(flux, _STYLE_LEVELS * _tokens_of_level(model.parts["projector"]))


def _dimensions(flux: dict[str, int], style_tokens: int) -> Dimensions:
    return Dimensions(
        hidden=flux["attention_head_dim"] * flux["num_attention_heads"],
        blocks=flux["num_layers"] + flux["num_single_layers"],
        style_tokens=style_tokens,
    )


def _tokens_of_level(projector: ComponentFiles) -> int:
    """From the header of the projector's file."""
    if projector.tree.folder is not None:
        for path in projector.weight_paths:
            found = _tokens_in(path)
            if found is not None:
                return found
    return Dimensions().style_tokens // _STYLE_LEVELS


def _tokens_in(path: Path) -> int | None:
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, framework="numpy") as file:
        for key in file.keys():  # noqa: SIM118 - it is no mapping
            if key.endswith(_STYLE_KEY):
                return int(file.get_slice(key).get_shape()[0])
    return None
