"""Seconds, memory and distance of one way to generate images."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch.autograd import DeviceType  # type: ignore[attr-defined]  # there, but not in its __all__
from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import ProfilerActivity, profile

from uso_core.loading.dimensions import Dimensions
from uso_core.model.denoise import Latents
from uso_core.model.inputs import BatchKey, PreparedRequest
from uso_core.model.sizes import GRID
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizeRequest


class Way(Protocol):
    """A way to generate images; a `USOPipeline` is one."""

    def prepare(self, request: StylizeRequest, /) -> PreparedRequest:
        """Prepare the images of a request for the encoders."""

    def condition(self, request: PreparedRequest, /) -> Any:  # noqa: ANN401 - each has its own
        """Compute everything that is computed once per image."""

    def denoise(self, conditioning: Any, seed: int, /) -> Latents:  # noqa: ANN401
        """Run the steps."""

    def decode(self, latents: Latents, /) -> Image.Image:
        """Return the image."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The measurements of one way and one case.

    Attributes:
        image_s: seconds per image for conditioning, denoising and decoding.
        denoise_s: the part of it that the steps take.
        tflops: 10¹² floating-point operations of full steps per second; a cache skips some.
        peak_gib: peak memory of the device, models included; None on a CPU.
        generated: the generated images.
    """

    image_s: float
    denoise_s: float
    tflops: float
    peak_gib: float | None
    generated: tuple[Image.Image, ...]


class Device:
    """The device to measure."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def name(self) -> str:
        """Name of the GPU, or `CPU`."""
        return torch.cuda.get_device_name(self.device) if self.is_gpu else "CPU"

    @property
    def is_gpu(self) -> bool:
        """True if the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """The dtype to generate in on this device."""
        return torch.bfloat16 if self.is_gpu else torch.float32

    def now(self) -> float:
        """Return the time in seconds, once all work submitted to the device is done."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def empty(self) -> None:
        """Free unused memory, and drop compiled code, which keeps models alive."""
        torch.compiler.reset()
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()

    def forget_peak(self) -> None:
        """Restart the measurement of peak memory."""
        if self.is_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)

    @property
    def peak_gib(self) -> float | None:
        """Peak memory since the restart; None on a CPU."""
        if not self.is_gpu:
            return None
        return torch.cuda.max_memory_allocated(self.device) / 2**30


def matmul_tflops(device: Device, dtype: torch.dtype, size: int, *, seconds: float = 1) -> float:
    """Return the rate of multiplying two square matrices: the ceiling of all rates here."""
    left, right = (torch.randn(size, size, device=device.device, dtype=dtype) for _ in range(2))
    left @ right
    began, rounds = device.now(), 0
    while device.now() - began < seconds:
        for _ in range(10):
            left @ right
        rounds += 10
    return rounds * 2 * size**3 / (device.now() - began) / 1e12


def measure(
    way: Way,
    requests: Sequence[StylizeRequest],
    device: Device,
    model: Dimensions,
    *,
    images: int = 3,
) -> Measured:
    """Generate one image per request, as a batch if there are several; the first round warms up.

    Args:
        way: the way to generate.
        requests: must share a batch key.
        device: the device of `way`.
        model: dimensions of the model.
        images: number of rounds; the median is reported.
    """
    prepared = [way.prepare(request) for request in requests]
    device.forget_peak()
    times = []
    for _ in range(images + 1):
        start = device.now()
        inputs = [way.condition(each) for each in prepared]
        conditioned = device.now()
        latents = _denoised(way, inputs)
        denoised = device.now()
        generated = tuple(way.decode(each) for each in latents)
        times.append((device.now() - start, denoised - conditioned))
    image_s, denoise_s = (sorted(column)[images // 2] for column in zip(*times[1:], strict=True))
    batch_key, count = prepared[0].batch_key, len(prepared)
    return Measured(
        image_s=image_s / count,
        denoise_s=denoise_s / count,
        tflops=count
        * batch_key.num_steps
        * model.step_flops(tokens(batch_key, model))
        / denoise_s
        / 1e12,
        peak_gib=device.peak_gib,
        generated=generated,
    )


def tokens(batch_key: BatchKey, model: Dimensions) -> int:
    """Return the length of the transformer's sequence."""
    sizes = [batch_key.size] if batch_key.content is None else [batch_key.size, batch_key.content]
    pixels = sum(size.width * size.height for size in sizes)
    return model.text_tokens + batch_key.styles * model.style_tokens + pixels // GRID**2


def _denoised(way: Way, inputs: Sequence[Any]) -> list[Latents]:
    if isinstance(way, USOPipeline):
        return way.denoise_batch(inputs, range(len(inputs)))
    return [way.denoise(each, seed) for seed, each in enumerate(inputs)]


def distance(ours: Sequence[Image.Image], exact: Sequence[Image.Image]) -> tuple[float, int]:
    """Return the PSNR in dB (inf if equal) and the largest difference, in levels of 255."""
    difference = [
        np.asarray(a, np.float64) - np.asarray(b, np.float64)
        for a, b in zip(ours, exact, strict=True)
    ]
    squares = float(np.mean(np.square(difference)))
    psnr = 10 * math.log10(255**2 / squares) if squares else math.inf
    return psnr, int(np.abs(difference).max())


def largest_costs(way: Way, request: StylizeRequest, device: Device) -> list[tuple[str, float]]:
    """Return the five most expensive operators or kernels of one step, with their shares."""
    inputs = way.condition(way.prepare(replace(request, num_steps=1)))
    way.denoise(inputs, 0)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.is_gpu else [])]
    with profile(activities=activities) as profiler:
        way.denoise(inputs, 0)
        device.now()
    return shares(profiler.key_averages(), on_gpu=device.is_gpu)[:5]


def shares(events: Iterable[FunctionEventAvg], *, on_gpu: bool) -> list[tuple[str, float]]:
    """Return names and their shares of the total time, the largest first.

    Args:
        events: a profile. It lists a GPU's time twice, for a kernel and for the operator that
            called it; only kernels are used.
        on_gpu: True to use the GPU's time, False to use the CPU's.
    """
    if on_gpu:
        times = [
            (event.key or "", event.self_device_time_total)
            for event in events
            if event.device_type == DeviceType.CUDA
        ]
    else:
        times = [(event.key or "", event.self_cpu_time_total) for event in events]
    total = sum(time_us for _, time_us in times)
    return [(name, us / total) for name, us in sorted(times, key=lambda item: -item[1])]
