"""The device of one worker: threads take turns on it, and running out of memory is survived.

Where the device has a lane to decode on, a turn ends when a request was given to the device, not
when it is drawn: the next one is given while the device is at work, and the thread whose turn it
was decodes beside it.

Imported when a worker is built, so that the driver's process never loads torch.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import torch

from pipelines.failures import Failure, RowFailedError
from pipelines.worker.batch_queue import BatchQueue, DeviceLock, PendingRequest, Rendered
from pipelines.worker.decoding import Decoder
from pipelines.worker.denoising import Denoised, Denoiser
from pipelines.worker.device_streams import DeviceStreams, device_streams
from pipelines.worker.exit import exit_gpu_lost
from uso_core.protocol import AnyPipeline, BatchKey, Prepared

logger = logging.getLogger(__name__)

_CUDA_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation
_Made = TypeVar("_Made")


class Renderer:
    """Draws with one pipeline; safe to call from several threads, which then take turns.

    Where it may, a turn also denoises what other threads wait for, if it is small and of the same
    form. Then the last bits of a picture depend on what it was drawn with.

    Attributes:
        waiting: requests that wait for their turn.
    """

    def __init__(
        self,
        pipeline: AnyPipeline,
        *,
        batch_images: int = 1,
        lanes: DeviceStreams | None = None,
        on_gpu_lost: Callable[[BaseException], None] = exit_gpu_lost,
    ) -> None:
        """Draw with `pipeline`.

        Args:
            pipeline: used by this object alone.
            batch_images: most images that are denoised together; 1: each is denoised alone.
            lanes: absent: those that the pipeline's device and preset allow.
            on_gpu_lost: called when the device fails for good; ends the process.
        """
        self._pipeline = pipeline
        self._on_gpu_lost = on_gpu_lost
        lanes = lanes or device_streams(pipeline.device, beside=pipeline.can_decode_beside)
        self._turn = DeviceLock()
        self._denoiser = Denoiser(pipeline, lanes.drawing)
        self._decoder = Decoder(pipeline, lanes)
        self.waiting = BatchQueue(batch_images if pipeline.can_batch else 1)
        self._most_that_fit: dict[BatchKey, int] = {}

    @property
    def pipeline(self) -> AnyPipeline:
        """What draws."""
        return self._pipeline

    @property
    def device_name(self) -> str:
        """`cpu`, or the GPU's model name."""
        device = self._pipeline.device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)

    @property
    def decodes_beside(self) -> bool:
        """Whether a request is decoded while the device draws the next ones."""
        return self._decoder.is_beside

    def draw(self, prepared: Prepared, seeds: range) -> Rendered:
        """Draw one image per seed, when it is this thread's turn.

        Raises:
            RowFailedError: `out_of_memory`, also after everything that can be freed was.
        """
        request = PendingRequest(prepared, seeds)
        self.waiting.enter(request)
        try:
            return self._drawn(request)
        except torch.AcceleratorError as error:  # of this request or another: they share the device
            self._on_gpu_lost(error)
            raise

    def _drawn(self, request: PendingRequest) -> Rendered:
        with self._turn.take(unless=lambda: self._is_served(request)) as is_ours:
            if is_ours:
                self._take_turn(request)
        if request.drawing is not None:
            return request.drawing
        with suppress(torch.OutOfMemoryError):
            return self._decoded(request)
        with self._turn.take():
            return self._decoded_in_turn(request)

    def _is_served(self, request: PendingRequest) -> bool:
        """Whether other threads' turns have done for a request all that is done in turns."""
        return (request.denoised if self._decoder.is_beside else request.drawing) is not None

    def _take_turn(self, request: PendingRequest) -> None:
        called = [request] if request.denoised is not None else self._denoise(request)
        if not self._decoder.is_beside:
            request.drawing = self._decoded_in_turn(request)
            # In turns of their own, the others would come between rows that can be drawn together.
            for other in called:
                if other is not request and other.denoised is not None:
                    self._decode_other(other)

    def _denoise(self, request: PendingRequest) -> list[PendingRequest]:
        """Give the device a request, and what can be denoised with it; returns them all."""
        self._denoiser.await_room()
        if self.waiting.images_with(request) < self._most_images(request.batch_key):
            # Given ahead, it would miss those that come while the device is at work.
            self._denoiser.await_end()
        called = self.waiting.call(request)
        if len(called) > 1 and not self._denoise_together(called):
            for other in called:  # each in its own turn, so that none pays for another
                other.alone = True
        if request.denoised is None:
            request.denoised = self._denoised_alone(request)
        return called

    def _decode_other(self, request: PendingRequest) -> None:
        try:
            request.drawing = self._decoded_in_turn(request)
        except torch.AcceleratorError:
            raise
        except Exception:  # it meets it again in its own turn
            logger.exception("decoding_failed")

    def _denoise_together(self, requests: list[PendingRequest]) -> bool:
        """Denoise several requests, in smaller batches when memory is short; whether it worked."""
        batch_key = requests[0].batch_key
        while (most := self._most_images(batch_key)) > 1:
            try:
                results = self._given(requests, most)
            except torch.OutOfMemoryError:
                logger.warning("batch_out_of_memory images=%d size=%s", most, batch_key.size)
            except torch.AcceleratorError:
                raise
            except Exception:  # one of them is at fault, and meets it again when it is alone
                logger.exception("batch_failed requests=%d", len(requests))
                return False
            else:
                for request, denoised in zip(requests, results, strict=True):
                    request.denoised = denoised
                return True
            # Outside of any handler: the error's traceback kept the tensors alive.
            _free_memory()
            self._most_that_fit[batch_key] = most // 2
        return False

    def _denoised_alone(self, request: PendingRequest) -> Denoised:
        return self._with_memory(
            request.batch_key,
            lambda: self._given([request], self._most_images(request.batch_key))[0],
            lambda: self._given([request], 1)[0],
        )

    def _decoded_in_turn(self, request: PendingRequest) -> Rendered:
        """Decode while no other thread gives the device anything."""
        return self._with_memory(
            request.batch_key, lambda: self._decoded(request), lambda: self._decoded(request)
        )

    def _with_memory(
        self, batch_key: BatchKey, first: Callable[[], _Made], again: Callable[[], _Made]
    ) -> _Made:
        """What `first` makes, in this thread's turn; else what `again` makes of all free memory.

        Raises:
            RowFailedError: `out_of_memory`.
        """
        with suppress(torch.OutOfMemoryError):
            return first()
        with self._decoder.paused():
            _free_memory()
            with suppress(torch.OutOfMemoryError):
                return again()
        _free_memory()
        raise RowFailedError(
            Failure(
                "out_of_memory",
                f"{self.device_name} has too little memory for {batch_key.size} with "
                f"{batch_key.styles} styles; ask for a smaller size, or use a larger device",
            )
        )

    def _given(self, requests: Sequence[PendingRequest], most: int) -> list[Denoised]:
        ready = [(each.prepared, each.seeds) for each in requests]
        return _with_one_error_for_short_memory(lambda: self._denoiser.denoise(ready, most))

    def _decoded(self, request: PendingRequest) -> Rendered:
        denoised = request.denoised
        assert denoised is not None
        return _with_one_error_for_short_memory(lambda: self._decoder.decode(denoised))

    def _most_images(self, batch_key: BatchKey) -> int:
        return self._most_that_fit.get(batch_key, self.waiting.most_images(batch_key))


def _with_one_error_for_short_memory(make: Callable[[], _Made]) -> _Made:
    """What `make` makes; of what CUDA has no memory for, the error of torch's own allocator.

    CUDA takes memory by itself when it loads a kernel, which it does at the kernel's first use, or
    pins memory of the host. The device goes on after that.
    """
    try:
        return make()
    except torch.AcceleratorError as error:
        if getattr(error, "error_code", None) != _CUDA_OUT_OF_MEMORY:
            raise
        raise torch.OutOfMemoryError(str(error)) from error


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
