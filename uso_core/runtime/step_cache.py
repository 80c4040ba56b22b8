"""The step cache: diffusers' first-block cache, kept from carrying anything from image to image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffusers import FluxTransformer2DModel
from diffusers.hooks import FirstBlockCacheConfig, HookRegistry


def enable_step_cache(transformer: FluxTransformer2DModel, threshold: float) -> None:
    """Let steps that differ little from an earlier one use its blocks again.

    Args:
        transformer: its blocks get hooks.
        threshold: see `Preset.cache_threshold`; more is faster and further from exact.
    """
    transformer.enable_cache(FirstBlockCacheConfig(threshold=threshold))


@contextmanager
def one_drawing(transformer: FluxTransformer2DModel) -> Iterator[None]:
    """All steps of what is drawn together: after them, or an error, the cache is as new.

    It holds several tensors of the size of the whole sequence, so they are not kept either.
    """
    if not transformer.is_cache_enabled:
        yield
        return
    try:
        with transformer.cache_context("image"):
            yield
    finally:
        HookRegistry.check_if_exists_or_initialize(transformer).reset_stateful_hooks()
