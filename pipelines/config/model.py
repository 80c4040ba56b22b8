"""The weights of the model, and how they run."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

from pydantic import Field, model_validator

from pipelines.config.strict import StrictModel
from uso_core.loading.source import LoraFile, ModelSource
from uso_core.presets import PRESETS, Attention, Preset, PresetName


class LoraConfig(StrictModel):
    """A LoRA of FLUX."""

    path: str
    """A `.safetensors` file: a path that is the same on every node, or an fsspec URL."""
    weight: float = Field(default=1.0, ge=-4, le=4)
    """Strength: a factor for its updates."""


class ModelConfig(StrictModel):
    """The weights, and how they run; see docs/weights.md and docs/presets.md."""

    base: str = "black-forest-labs/FLUX.1-dev"
    """FLUX.1: a Hub id or folder in diffusers' layout, a folder with the original's files, or an
    fsspec URL of either. `demo`: a toy that was trained on a CPU and comes with the package. `tiny`
    or `tiny:SEED`: a small model with random weights, for tests."""
    base_revision: str | None = None
    """Branch, tag or commit of `base` on the Hub. Default: its main branch."""
    uso: str = "bytedance-research/USO"
    """The USO LoRA and projector: a Hub id, folder or fsspec URL. Not used if `base` contains
    them."""
    uso_revision: str | None = None
    """Branch, tag or commit of `uso` on the Hub. Default: its main branch."""
    siglip: str = "google/siglip-so400m-patch14-384"
    """The SigLIP vision model: a Hub id, folder or fsspec URL. Not used if `base` contains it."""
    siglip_revision: str | None = None
    """Branch, tag or commit of `siglip` on the Hub. Default: its main branch."""
    loras: list[LoraConfig] = Field(default_factory=list)
    """LoRAs of FLUX that are merged beside USO's."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the weights. `auto`: bfloat16 on CUDA, float32 on the CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the model. `auto`: the CPU if `stylize.gpus_per_actor` is 0, else CUDA; if PyTorch
    then finds no GPU, the actors do not start."""
    preset: PresetName = "exact"
    """`exact` computes the original's images. The other presets trade image fidelity for speed, or
    speed for memory; see docs/presets.md."""
    cache_threshold: float | None = Field(default=None, gt=0, lt=1)
    """Threshold of the step cache of `fp8+cache` and `draft`. A larger one is faster and less
    close to `exact`. Default: the preset's own."""
    attention: Attention = "auto"
    """Attention kernel of the transformer. `auto`: cuDNN's on Hopper and later, else PyTorch's
    choice (`sdpa`). `flash_3` needs the package `kernels`, which downloads it."""
    compile: bool = False
    """Compile the transformer's repeated blocks with `torch.compile`: the first image is slow,
    later ones are faster."""
    cache_dir: str | None = None
    """Node-local folder for weights from fsspec URLs and for compiled code. Default: the user's
    cache folder."""

    @property
    def chosen_preset(self) -> Preset:
        """The preset with its options."""
        preset = PRESETS[self.preset]
        if self.cache_threshold is None:
            return preset
        return preset.with_threshold(self.cache_threshold)

    @property
    def source(self) -> ModelSource:
        """The locations of the weights as given here; weights at a URL stay there."""
        weights = {f.name: getattr(self, f.name) for f in fields(ModelSource) if f.name != "loras"}
        return ModelSource(
            **weights,
            loras=tuple(LoraFile(lora.path, lora.weight) for lora in self.loras),
        )

    @property
    def locations(self) -> tuple[str, ...]:
        """The locations of all weights."""
        weights = (getattr(self, name) for name in ModelSource.WEIGHTS)
        return (*weights, *(lora.path for lora in self.loras))

    @model_validator(mode="after")
    def _runnable(self) -> ModelConfig:
        preset = self.chosen_preset
        if preset.needs_gpu and self.device == "cpu":
            raise ValueError(f"preset {self.preset} needs a GPU; device is cpu")
        if self.compile and "host" in (preset.transformer, preset.encoders):
            raise ValueError(f"preset {self.preset} cannot be compiled: leave compile out")
        return self
