"""The step cache: diffusers' first-block cache, reset after each batch to keep images apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffusers import FluxTransformer2DModel
from diffusers.hooks import FirstBlockCacheConfig, HookRegistry


def enable_step_cache(transformer: FluxTransformer2DModel, threshold: float) -> None:
    """Let a step that differs little from an earlier one reuse its blocks.

    Args:
        transformer: its blocks get hooks.
        threshold: see `Preset.cache_threshold`; higher is faster and less exact.
    """
    transformer.enable_cache(FirstBlockCacheConfig(threshold=threshold))


@contextmanager
def one_batch(transformer: FluxTransformer2DModel) -> Iterator[None]:
    """Run all steps of one batch inside this; afterwards, or after an error, the cache is reset.

    The reset also frees several tensors of the size of the whole sequence.
    """
    if not transformer.is_cache_enabled:
        yield
        return
    try:
        with transformer.cache_context("image"):
            yield
    finally:
        HookRegistry.check_if_exists_or_initialize(transformer).reset_stateful_hooks()
