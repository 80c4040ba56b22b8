"""The device of one worker: threads take turns on it, and running out of memory is survived.

Imported when a worker is built, so that the driver's process never loads torch.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from PIL import Image

from pipelines.failures import Failure, RowFailedError
from pipelines.worker.exit import exit_gpu_lost
from pipelines.worker.gpu_memory import await_free_memory
from pipelines.worker.model_files import cache_folder, localize
from pipelines.worker.waiting import Drawing, Waiting, WaitingRoom
from uso_core.conditioning import Conditioning
from uso_core.devices import check_preset
from uso_core.memory import memory_needed
from uso_core.pipeline import USOPipeline
from uso_core.prepare import Form, PreparedRequest
from uso_core.presets import PRESETS, SMALL_PRESETS

if TYPE_CHECKING:
    from pipelines.worker.spec import StylizerSpec

logger = logging.getLogger(__name__)


def load_pipeline(spec: StylizerSpec) -> USOPipeline:
    """The pipeline of one worker: weights brought to this node, loaded, compiled if asked for.

    Raises:
        CheckpointError: a weight file is missing or does not match the model.
        StorageError: weights could not be pulled from their URL.
        GpuFullError: the GPU is too small, or something else is on it.
        UnsupportedPresetError: the device cannot run the preset.
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
    preset = spec.model.chosen_preset
    check_preset(preset, device)
    if device.type == "cuda":
        needs: dict[str, int] = {
            name: memory_needed(source, dtype, PRESETS[name]) for name in SMALL_PRESETS
        }
        await_free_memory(device, memory_needed(source, dtype, preset), presets=needs)
    attention = spec.model.attention
    pipeline = USOPipeline.load(
        source, dtype=dtype, device=device, preset=preset, attention=attention
    )
    if spec.model.compile:
        # Where torch would put it by itself is emptied when the machine starts.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder(spec.model) / "compiled"))
        pipeline.compile()
    return pipeline


class Drawer:
    """Draws with one pipeline; safe to call from several threads, which then take turns.

    Where it may, a turn also draws what other threads wait for, if it is small and of the same
    form. Then the last bits of a picture depend on what it was drawn with.

    Attributes:
        waiting: requests that wait for their turn.
    """

    def __init__(
        self,
        pipeline: USOPipeline,
        *,
        batch_images: int = 1,
        on_gpu_lost: Callable[[BaseException], None] = exit_gpu_lost,
    ) -> None:
        """Draw with `pipeline`.

        Args:
            pipeline: used by this object alone.
            batch_images: most images that are drawn together; 1: each is drawn alone.
            on_gpu_lost: called when the device fails for good; ends the process.
        """
        self._pipeline = pipeline
        self._on_gpu_lost = on_gpu_lost
        self._device_lock = threading.Lock()
        # A step cache decides for a whole batch: a picture would depend on its neighbours.
        has_step_cache = pipeline.preset.cache_threshold is not None
        self.waiting = WaitingRoom(1 if has_step_cache else batch_images)
        self._most_that_fit: dict[Form, int] = {}

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
        request = Waiting(prepared, seeds)
        self.waiting.enter(request)
        with self._device_lock:
            if request.drawing is None:  # else another thread's turn has served this one
                try:
                    self._take_turn(request)
                except torch.AcceleratorError as error:
                    self._on_gpu_lost(error)
                    raise
        assert request.drawing is not None
        return request.drawing

    def _take_turn(self, request: Waiting) -> None:
        called = self.waiting.call(request)
        if len(called) > 1 and not self._drawn_together(called):
            for other in called:  # each in its own turn, so that none pays for another
                other.alone = True
        if request.drawing is None:
            request.drawing = self._drawn_alone(request)

    def _drawn_together(self, requests: list[Waiting]) -> bool:
        """Draw several requests, in smaller batches when memory is short; whether it worked."""
        form = requests[0].form
        while (most := self._most_images(form)) > 1:
            try:
                drawings = self._draw(requests, most)
            except torch.OutOfMemoryError:
                logger.warning("batch_out_of_memory images=%d size=%s", most, form.size)
            except torch.AcceleratorError:
                raise
            except Exception:  # one of them is at fault, and meets it again when it is alone
                logger.exception("batch_failed requests=%d", len(requests))
                return False
            else:
                for request, drawing in zip(requests, drawings, strict=True):
                    request.drawing = drawing
                return True
            # Outside of any handler: the error's traceback kept the tensors alive.
            _free_memory()
            self._most_that_fit[form] = most // 2
        return False

    def _drawn_alone(self, request: Waiting) -> Drawing:
        for most in (self._most_images(request.form), 1):
            with suppress(torch.OutOfMemoryError):
                return self._draw([request], most)[0]
            _free_memory()
        size = request.form.size
        raise RowFailedError(
            Failure(
                "out_of_memory",
                f"{self.device_name} has too little memory for {size.width}x{size.height} with "
                f"{request.form.styles} styles; ask for a smaller size, or use a larger device",
            )
        )

    def _most_images(self, form: Form) -> int:
        return self._most_that_fit.get(form, self.waiting.most_images(form))

    def _draw(self, requests: list[Waiting], most: int) -> list[Drawing]:
        """Draw requests of one form, `most` images at a time."""
        clock = _DeviceClock(self._pipeline.device)
        sheets = [self._begin(request, clock) for request in requests]
        images = [(sheet, seed) for sheet in sheets for seed in sheet.seeds]
        for start in range(0, len(images), most):
            batch = images[start : start + most]
            latents = self._pipeline.denoise_batch(
                [sheet.conditioning for sheet, _ in batch], [seed for _, seed in batch]
            )
            share_ms = clock.lap_ms() / len(batch)
            for (sheet, _), each in zip(batch, latents, strict=True):
                sheet.inference_ms += share_ms
                sheet.images.append(self._pipeline.decode(each))
                sheet.decode_ms += clock.lap_ms()
        return [sheet.drawing for sheet in sheets]

    def _begin(self, request: Waiting, clock: _DeviceClock) -> _Sheet:
        conditioning = self._pipeline.condition(request.prepared)
        return _Sheet(request.seeds, conditioning, condition_ms=clock.lap_ms())


@dataclass(eq=False)
class _Sheet:
    """What there is of a request's drawing so far."""

    seeds: range
    conditioning: Conditioning
    condition_ms: float
    inference_ms: float = 0
    decode_ms: float = 0
    images: list[Image.Image] = field(default_factory=list)

    @property
    def drawing(self) -> Drawing:
        return Drawing(
            images=tuple(self.images),
            prompt_truncated=self.conditioning.prompt_truncated,
            condition_ms=self.condition_ms,
            inference_ms=self.inference_ms,
            decode_ms=self.decode_ms,
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
