"""Size of a model and the arithmetic of one image; needs neither torch nor weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from uso_core.loading import model_configs, tiny_configs
from uso_core.loading.component_files import ComponentFiles
from uso_core.loading.source import ModelSource, find_model, tiny_seed
from uso_core.model.sizes import GRID

FAMILY = "uso-flux"
TEXT_TOKENS = 512
_STYLE_LEVELS = 3
_STYLE_KEY = "high_embedding_linear.0.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingCosts:
    """Cost of encoding one input, in TFLOP; the defaults are those of FLUX.1-dev's encoders.

    Attributes:
        prompt: T5 on 512 tokens.
        content: the VAE at 512x512.
        style: SigLIP.
    """

    prompt: float = 4.8
    content: float = 1.1
    style: float = 0.7


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The properties of a FLUX transformer and a style projector that determine their arithmetic.

    The defaults are those of USO on FLUX.1-dev.

    Attributes:
        hidden: width of the transformer's tokens.
        blocks: number of blocks, double and single.
        style_tokens: tokens that each style adds.
        text_tokens: tokens of a padded prompt.
        encoding: cost of each kind of input.
        family: name of the model's family.
    """

    hidden: int = 3072
    blocks: int = 57
    style_tokens: int = 192
    text_tokens: int = TEXT_TOKENS
    encoding: EncodingCosts = EncodingCosts()
    family: str = FAMILY

    def sequence_length(self, width: int, height: int, content: int, styles: int) -> int:
        """Return the tokens of the text, of each style, of the output and of the content image.

        Args:
            width: width of the output in pixels.
            height: height of the output in pixels.
            content: side of a square content image as it is encoded, in pixels; 0 without one.
            styles: number of style images.
        """
        output = (width // GRID) * (height // GRID)
        return self.text_tokens + styles * self.style_tokens + output + (content // GRID) ** 2

    def step_flops(self, tokens: int) -> float:
        """Return the floating-point operations of one step over a sequence of `tokens` tokens."""
        return self.linear_flops(tokens) + self.attention_flops(tokens)

    def linear_flops(self, tokens: int) -> float:
        """Return the FLOPs of one step's linear layers.

        A double block and a single block have the same matrices per token: 12 times `hidden`²
        (queries, keys, values and their output, and a feed-forward layer four times as wide), with
        one multiplication and one addition each.
        """
        return float(24 * self.hidden**2 * self.blocks * tokens)

    def attention_flops(self, tokens: int) -> float:
        """Return the FLOPs of one step's attention: two products of all tokens with all tokens."""
        return float(4 * self.hidden * self.blocks * tokens**2)


def dimensions_of(source: ModelSource) -> Dimensions:
    """Return the dimensions of a model whose files are on disk; otherwise FLUX.1-dev's.

    Raises:
        CheckpointError: there is no such model, or one of its files cannot be read.
    """
    if tiny_seed(source.base) is not None:
        flux = model_configs.transformer_arguments(tiny_configs.TINY_FLUX)
        return _dimensions(flux, _STYLE_LEVELS * tiny_configs.TINY_STYLE_TOKENS)
    model = find_model(source)
    if model.components["transformer"].listing.folder is None:
        return Dimensions()
    # Guidance takes almost no arithmetic, so it does not matter whether the model has it.
    flux = model_configs.transformer_config(model, guidance=True)
    return _dimensions(flux, _STYLE_LEVELS * _tokens_of_level(model.components["projector"]))


def _dimensions(flux: dict[str, int], style_tokens: int) -> Dimensions:
    return Dimensions(
        hidden=flux["attention_head_dim"] * flux["num_attention_heads"],
        blocks=flux["num_layers"] + flux["num_single_layers"],
        style_tokens=style_tokens,
    )


def _tokens_of_level(projector: ComponentFiles) -> int:
    """Read the style tokens per level from the header of the projector's file."""
    if projector.listing.folder is not None:
        for path in projector.weight_paths:
            found = _tokens_in(path)
            if found is not None:
                return found
    return Dimensions().style_tokens // _STYLE_LEVELS


def _tokens_in(path: Path) -> int | None:
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, framework="numpy") as file:
        for key in file.keys():  # noqa: SIM118 - not a mapping
            if key.endswith(_STYLE_KEY):
                return int(file.get_slice(key).get_shape()[0])
    return None
