"""Which weights, and how they are run."""

from __future__ import annotations

from typing import Literal

from pipelines.config.strict import StrictModel


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
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 on CUDA, float32 on the CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    preset: Literal["exact"] = "exact"
    compile: bool = False
    """torch.compile of the transformer's repeated blocks: a slow first image, faster ones after."""
    cache_dir: str | None = None
    """Node-local folder for weights pulled from an fsspec URL; absent: the user's cache folder."""
