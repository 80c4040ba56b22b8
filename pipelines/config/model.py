"""Which weights, and how they are run."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

from pydantic import Field, model_validator

from pipelines.config.strict import StrictModel
from uso_core.loading.source import LoraFile, ModelSource
from uso_core.presets import PRESETS, Attention, Preset, PresetName


class LoraConfig(StrictModel):
    """A LoRA of your own."""

    path: str
    """A `.safetensors` file: a path, the same on every node, or an fsspec URL."""
    weight: float = Field(default=1.0, ge=-4, le=4)


class ModelConfig(StrictModel):
    """Which weights, and how they are run."""

    base: str = "black-forest-labs/FLUX.1-dev"
    """A diffusers-layout FLUX.1 (folder, hub id), a folder with the original's files, an fsspec URL
    of either, or `tiny` (`tiny:SEED`): random weights for trying things out."""
    base_revision: str | None = None
    uso: str = "bytedance-research/USO"
    """The USO LoRA and projector (folder, hub id, fsspec URL); unused where `base` holds them."""
    uso_revision: str | None = None
    siglip: str = "google/siglip-so400m-patch14-384"
    """The SigLIP vision model (likewise)."""
    siglip_revision: str | None = None
    loras: list[LoraConfig] = Field(default_factory=list)
    """LoRAs of FLUX, each `{path, weight}`, that are merged beside USO's."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 on CUDA, float32 on the CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    preset: PresetName = "exact"
    """How pictures are traded for speed or memory: see docs/presets.md."""
    cache_threshold: float | None = Field(default=None, gt=0, lt=1)
    """Of `fp8+cache` and `draft`, whose own it replaces: more is faster and further from exact."""
    attention: Attention = "auto"
    """The kernel of the transformer's attention. `auto`: cuDNN's on Hopper and later, else what
    torch chooses (`sdpa`). `flash_3` needs the package `kernels`, which downloads it."""
    compile: bool = False
    """torch.compile of the transformer's repeated blocks: a slow first image, faster ones after."""
    cache_dir: str | None = None
    """Node-local folder for weights pulled from an fsspec URL; absent: the user's cache folder."""

    @property
    def chosen_preset(self) -> Preset:
        """The preset, with its options."""
        preset = PRESETS[self.preset]
        if self.cache_threshold is None:
            return preset
        return preset.with_threshold(self.cache_threshold)

    @property
    def source(self) -> ModelSource:
        """Where the weights are, as it is written here: what is at a URL is not pulled."""
        weights = {f.name: getattr(self, f.name) for f in fields(ModelSource) if f.name != "loras"}
        return ModelSource(
            **weights,
            loras=tuple(LoraFile(lora.path, lora.weight) for lora in self.loras),
        )

    @property
    def locations(self) -> tuple[str, ...]:
        """Of all weights."""
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
