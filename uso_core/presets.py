"""The presets as data: the changes that each one makes to a loaded model. Does not import torch.

`exact` computes with the weights as they are. Every other preset trades something for speed or
memory. A record names its preset, which tells its images from those of other presets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

PresetName = Literal["exact", "fp8", "fp8+cache", "draft", "low_vram", "tiny_vram"]
Placement = Literal["device", "host"]
"""Location of weights. Weights on the host are copied to the device layer by layer whenever they
are needed, while the previous layer runs."""
LinearMode = Literal["as_loaded", "float8", "float8_storage"]
"""Arithmetic of the blocks' linear layers. `float8`: weights and inputs are float8 with a scale per
row; the scales of the inputs are computed from the inputs. `float8_storage`: weights are stored in
float8 and cast to the model's dtype for each use."""

Attention = Literal["auto", "sdpa", "cudnn", "flash_3"]
"""Kernel of the transformer's attention, with any preset. `sdpa`: torch chooses; `cudnn`: cuDNN's
kernel through torch, where cuDNN supports the case; `flash_3`: FlashAttention 3, which the package
`kernels` downloads from the Hub; `auto`: `cudnn` on Hopper and later in bfloat16, else `sdpa`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The changes made to a model after it is loaded.

    Attributes:
        name: name of the preset, in records and fingerprints.
        linears: arithmetic of the linear layers in the transformer's blocks.
        cache_threshold: largest relative difference (mean absolute) at which a step skips blocks.
            A step compares its first block's change to the image's tokens with the change at the
            last full step, and reuses that step's result for all other blocks if the two are close.
            None: every step is full.
        max_steps: upper bound for the steps of a request; None: no bound.
        transformer: location of the transformer's weights.
        encoders: location of the weights of the text encoders, SigLIP and the VAE.
    """

    name: PresetName
    linears: LinearMode = "as_loaded"
    cache_threshold: float | None = None
    max_steps: int | None = None
    transformer: Placement = "device"
    encoders: Placement = "device"

    def steps(self, asked: int) -> int:
        """Return the number of steps for a request that asks for `asked` steps."""
        return asked if self.max_steps is None else min(asked, self.max_steps)

    def with_threshold(self, threshold: float) -> Preset:
        """Return the preset with another `cache_threshold`.

        Raises:
            ValueError: this preset has no step cache.
        """
        if self.cache_threshold is None:
            raise ValueError(f"the preset {self.name} has no cache, so no cache_threshold either")
        return replace(self, cache_threshold=threshold)

    @property
    def changes_pictures(self) -> bool:
        """True if its images differ from those of `exact`; else it only moves weights."""
        own = (self.linears, self.cache_threshold, self.max_steps)
        return own != (EXACT.linears, EXACT.cache_threshold, EXACT.max_steps)

    @property
    def allows_batches(self) -> bool:
        """True if images may share a batch, which changes their last bits.

        False for presets that promise the exact image. Also false with a step cache: it looks at
        all images of a batch at once, so one image would decide about the steps of another.
        """
        return self.changes_pictures and self.cache_threshold is None

    @property
    def needs_gpu(self) -> bool:
        """True if it does not run on a CPU, or has no use there."""
        return self.linears == "float8" or "host" in (self.transformer, self.encoders)


EXACT = Preset(name="exact")
_PRESETS = (
    EXACT,
    Preset(name="fp8", linears="float8"),
    Preset(name="fp8+cache", linears="float8", cache_threshold=0.08),
    Preset(name="draft", cache_threshold=0.12, max_steps=12),
    Preset(name="low_vram", linears="float8_storage", encoders="host"),
    Preset(name="tiny_vram", transformer="host", encoders="host"),
)
PRESETS: dict[PresetName, Preset] = {preset.name: preset for preset in _PRESETS}
SMALL_PRESETS: tuple[PresetName, ...] = ("low_vram", "tiny_vram")
"""The presets for small GPUs, in descending order of the memory that they need."""
assert tuple(PRESETS) == get_args(PresetName)
