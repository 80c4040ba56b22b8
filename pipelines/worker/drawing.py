"""The device of one worker: draws one request at a time, survives running out of memory.

Imported when a worker is built, so that the driver's process never loads torch.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image

from pipelines.failures import Failure, RowFailedError
from pipelines.worker.exit import exit_gpu_lost
from pipelines.worker.gpu_memory import await_free_memory
from pipelines.worker.model_files import localize
from uso_core.memory import weights_bytes
from uso_core.pipeline import USOPipeline
from uso_core.prepare import PreparedRequest

if TYPE_CHECKING:
    from pipelines.worker.stylizer import StylizerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The images of one request, and the device time they took.

    Attributes:
        images: RGB, one per seed, in order.
        prompt_truncated: the prompt was longer than 512 T5 tokens.
        condition_ms: milliseconds on the device, without waiting for it.
        inference_ms: likewise, of all images.
        decode_ms: likewise, of all images.
    """

    images: tuple[Image.Image, ...]
    prompt_truncated: bool
    condition_ms: float
    inference_ms: float
    decode_ms: float


def load_pipeline(spec: StylizerSpec) -> USOPipeline:
    """The pipeline of one worker: weights brought to this node, loaded, compiled if asked for.

    Raises:
        CheckpointError: a weight file is missing or does not match the model.
        StorageError: weights could not be pulled from their URL.
        GpuFullError: something else is on the GPU.
    """
    torch.set_num_threads(spec.torch_threads)
    name = spec.model.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if spec.model.dtype == "auto":
        dtype = torch.bfloat16 if name == "cuda" else torch.float32
    else:
        dtype = torch.bfloat16 if spec.model.dtype == "bfloat16" else torch.float32
    source, device = localize(spec.model, spec.storage), torch.device(name)
    if device.type == "cuda":
        await_free_memory(device, weights_bytes(source, dtype))
    pipeline = USOPipeline.load(source, dtype=dtype, device=device)
    if spec.model.compile:
        pipeline.compile()
    return pipeline


class Drawer:
    """Draws with one pipeline; safe to call from several threads, which then take turns."""

    def __init__(
        self,
        pipeline: USOPipeline,
        *,
        on_gpu_lost: Callable[[BaseException], None] = exit_gpu_lost,
    ) -> None:
        """Draw with `pipeline`.

        Args:
            pipeline: used by this object alone.
            on_gpu_lost: called when the device fails for good; ends the process.
        """
        self._pipeline = pipeline
        self._on_gpu_lost = on_gpu_lost
        self._lock = threading.Lock()

    @property
    def pipeline(self) -> USOPipeline:
        """What draws."""
        return self._pipeline

    @property
    def device_name(self) -> str:
        """`cpu`, or the GPU's model name."""
        device = self._pipeline.device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)

    def draw(self, prepared: PreparedRequest, seeds: range) -> Drawing:
        """Draw one image per seed, when it is this thread's turn.

        Raises:
            RowFailedError: `out_of_memory`, also after everything that can be freed was.
        """
        with self._lock:
            try:
                return self._draw_in_memory(prepared, seeds)
            except torch.AcceleratorError as error:
                self._on_gpu_lost(error)
                raise

    def _draw_in_memory(self, prepared: PreparedRequest, seeds: range) -> Drawing:
        for _ in range(2):
            with suppress(torch.OutOfMemoryError):
                return self._draw(prepared, seeds)
            # Outside of any handler: the error's traceback kept the tensors alive.
            _free_memory()
        size = prepared.size
        raise RowFailedError(
            Failure(
                "out_of_memory",
                f"{self.device_name} has too little memory for {size.width}x{size.height} with "
                f"{len(prepared.styles)} styles; ask for a smaller size, or use a larger device",
            )
        )

    def _draw(self, prepared: PreparedRequest, seeds: range) -> Drawing:
        clock = _DeviceClock(self._pipeline.device)
        conditioning = self._pipeline.condition(prepared)
        condition_ms = clock.lap_ms()
        images: list[Image.Image] = []
        inference_ms = decode_ms = 0.0
        for seed in seeds:
            latents = self._pipeline.denoise(conditioning, seed)
            inference_ms += clock.lap_ms()
            images.append(self._pipeline.decode(latents))
            decode_ms += clock.lap_ms()
        return Drawing(
            images=tuple(images),
            prompt_truncated=conditioning.prompt_truncated,
            condition_ms=condition_ms,
            inference_ms=inference_ms,
            decode_ms=decode_ms,
        )


class _DeviceClock:
    """Time between points at which the device has done all its work."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last = time.perf_counter()

    def lap_ms(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        last, self._last = self._last, time.perf_counter()
        return (self._last - last) * 1e3


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
