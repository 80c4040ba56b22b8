"""The presets: what each does to a model, as data; no torch.

`exact` draws what the weights say. All others trade something for speed or memory; a picture drawn
with one is told from a picture drawn with another by the preset's name in its record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

PresetName = Literal["exact", "fp8", "fp8+cache", "draft", "low_vram", "tiny_vram"]
Placement = Literal["device", "host"]
"""Where weights are kept. Those on the host are brought to the device layer by layer, each time
they are needed, while the layer before is at work."""
LinearMode = Literal["as_loaded", "float8", "float8_storage"]
"""How the blocks' linear layers work. `float8`: weights and inputs are float8 with a scale for each
row, those of the inputs taken from the inputs. `float8_storage`: weights are kept in float8 and
cast to the model's dtype each time they are used."""

Attention = Literal["auto", "sdpa", "cudnn", "flash_3"]
"""The kernel of the transformer's attention, with any preset. `sdpa`: what torch chooses; `cudnn`:
cuDNN's where it can, through torch; `flash_3`: FlashAttention 3, which the package `kernels`
downloads from the Hub and runs; `auto`: `cudnn` on Hopper and later, in bfloat16, else `sdpa`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is done to a model after it was loaded.

    Attributes:
        name: for records and fingerprints.
        linears: of the transformer's blocks.
        cache_threshold: a step whose first block changes the image's tokens by nearly as much as it
            did at the last whole step uses that step's other blocks again; this is the largest
            relative difference (mean absolute) that counts as nearly. None: every step is whole.
        max_steps: requests for more are drawn with so many; None: as asked for.
        transformer: where its weights are kept.
        encoders: where those of the text encoders, SigLIP and the VAE are kept.
    """

    name: PresetName
    linears: LinearMode = "as_loaded"
    cache_threshold: float | None = None
    max_steps: int | None = None
    transformer: Placement = "device"
    encoders: Placement = "device"

    def steps(self, asked: int) -> int:
        """How many steps are drawn where `asked` were asked for."""
        return asked if self.max_steps is None else min(asked, self.max_steps)

    def with_threshold(self, threshold: float) -> Preset:
        """The same with another `cache_threshold`.

        Raises:
            ValueError: this preset has no cache.
        """
        if self.cache_threshold is None:
            raise ValueError(f"the preset {self.name} has no cache, so no cache_threshold either")
        return replace(self, cache_threshold=threshold)

    @property
    def changes_pictures(self) -> bool:
        """Whether it draws other pictures than `exact`; else it only places weights elsewhere."""
        drawn = (self.linears, self.cache_threshold, self.max_steps)
        return drawn != (EXACT.linears, EXACT.cache_threshold, EXACT.max_steps)

    @property
    def allows_batches(self) -> bool:
        """Whether images may be drawn together, though the last bits then depend on the others.

        Not where the promise is the exact picture; nor with a cache, which looks at all images of a
        batch at once, so that one would decide about the steps of another.
        """
        return self.changes_pictures and self.cache_threshold is None

    @property
    def needs_gpu(self) -> bool:
        """Whether it is of no use, or does not run, on a CPU."""
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
"""Those for small GPUs, the one that needs the most first."""
assert tuple(PRESETS) == get_args(PresetName)
