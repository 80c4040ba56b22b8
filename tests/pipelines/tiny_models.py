"""The tiny model, loaded once for all tests, and pipelines that misbehave on purpose."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from functools import cache

import torch

from uso_core.model.conditioning import Conditioning
from uso_core.model.denoise import Latents, OnStep
from uso_core.model.images import Pixels
from uso_core.pipeline import USOPipeline


@cache
def tiny() -> USOPipeline:
    """The tiny model; tests must not change it, nor use it in two threads at once."""
    torch.set_num_threads(1)  # as in an actor; more are many times slower on a busy machine
    return USOPipeline.tiny()


class Misbehaving(USOPipeline):
    """The tiny model, with an action before each image is denoised or decoded.

    Attributes:
        denoised: seed of each image that it began to denoise.
        batches: number of images in each batch that it began to denoise.
        decoded: seed of each image that it began to decode.
    """

    def __init__(
        self,
        before: Callable[[int], None] = lambda _: None,
        *,
        before_decoding: Callable[[int], None] = lambda _: None,
    ) -> None:
        super().__init__(tiny().components)
        self.denoised: list[int] = []
        self.batches: list[int] = []
        self.decoded: list[int] = []
        self._before = before
        self._before_decoding = before_decoding
        self._seeds: weakref.WeakKeyDictionary[Latents, int] = weakref.WeakKeyDictionary()

    def denoise_batch(
        self,
        conditionings: Sequence[Conditioning],
        seeds: Sequence[int],
        on_step: OnStep | None = None,
    ) -> list[Latents]:
        self.batches.append(len(seeds))
        for seed in seeds:
            self.denoised.append(seed)
            self._before(seed)
        latents = super().denoise_batch(conditionings, seeds, on_step)
        self._seeds.update(zip(latents, seeds, strict=True))
        return latents

    def decode_pixels(self, latents: Latents) -> Pixels:
        seed = self._seeds[latents]
        self.decoded.append(seed)
        self._before_decoding(seed)
        return super().decode_pixels(latents)


def short_of_memory() -> torch.OutOfMemoryError:
    """The error of torch's own allocator."""
    return torch.OutOfMemoryError("CUDA out of memory")


def cuda_short_of_memory() -> torch.AcceleratorError:
    """The error that torch raises if CUDA itself lacks memory, for example to load a kernel."""
    error = torch.AcceleratorError("CUDA error: out of memory")
    error.error_code = 2  # type: ignore[attr-defined]  # set where it is raised
    return error


class OutOfMemory:
    """Raises an error for the first `times` images.

    Attributes:
        leaked: number of tensors of an attempt that were still alive at the next one.
    """

    def __init__(self, times: int, error: Callable[[], RuntimeError] = short_of_memory) -> None:
        self.leaked = 0
        self._left = times
        self._error = error
        self._held: list[weakref.ref[torch.Tensor]] = []

    def __call__(self, seed: int) -> None:
        self.leaked += sum(reference() is not None for reference in self._held)
        tensor = torch.zeros(8)
        self._held = [weakref.ref(tensor)]
        if self._left > 0:
            self._left -= 1
            raise self._error()


class Gate:
    """Holds every image until it is opened.

    Attributes:
        reached: set when an image has reached the gate.
    """

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def __call__(self, seed: int) -> None:
        self.reached.set()
        assert self._open.wait(10)
