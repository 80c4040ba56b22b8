"""Renders requests on one device: threads take turns, and running out of memory is survived.

A thread holds the device lock until its request is submitted, not until it is done, if the device
has a stream for decoding. Then the next request is submitted while the device is busy, and the
first thread decodes beside it.

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
from pipelines.worker.steps import RowCancelledError, StepWatch
from uso_core.protocol import AnyPipeline, BatchKey, Prepared

logger = logging.getLogger(__name__)

_CUDA_OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation
_Made = TypeVar("_Made")


class Renderer:
    """Renders requests with one pipeline. Thread-safe: threads take turns on the device.

    A thread may also denoise the small requests of other threads in one batch with its own. The
    last bits of an image then depend on the rest of its batch.

    Attributes:
        queue: requests that wait for the device.
    """

    def __init__(
        self,
        pipeline: AnyPipeline,
        *,
        batch_images: int = 1,
        streams: DeviceStreams | None = None,
        on_gpu_lost: Callable[[BaseException], None] = exit_gpu_lost,
    ) -> None:
        """Use `pipeline`.

        Args:
            pipeline: the model; no other object may use it.
            batch_images: most images that are denoised together; 1: there are no batches.
            streams: streams of the device; absent: all that device and pipeline allow.
            on_gpu_lost: called when the device fails for good; ends the process.
        """
        self._pipeline = pipeline
        self._on_gpu_lost = on_gpu_lost
        streams = streams or device_streams(pipeline.device, beside=pipeline.can_decode_beside)
        self._device = DeviceLock()
        self._denoiser = Denoiser(pipeline, streams.denoising)
        self._decoder = Decoder(pipeline, streams)
        self.queue = BatchQueue(batch_images if pipeline.can_batch else 1)
        self._most_that_fit: dict[BatchKey, int] = {}

    @property
    def pipeline(self) -> AnyPipeline:
        """The model."""
        return self._pipeline

    @property
    def device_name(self) -> str:
        """`cpu`, or the GPU's model name."""
        device = self._pipeline.device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)

    @property
    def decodes_beside(self) -> bool:
        """True if a request is decoded while the device denoises the next ones."""
        return self._decoder.is_beside

    def render(
        self,
        prepared: Prepared,
        seeds: range,
        *,
        urgent: bool = False,
        watch: StepWatch | None = None,
    ) -> Rendered:
        """Generate one image per seed; waits for the device.

        Args:
            prepared: the request.
            seeds: one for each image.
            urgent: go before requests that are not urgent, also between two images of one.
            watch: counts the steps; may cancel the request.

        Raises:
            RowFailedError: `out_of_memory`, even after all unused memory was freed.
            RowCancelledError: it was cancelled; other requests of its batch are not affected.
        """
        request = PendingRequest(prepared, seeds, urgent=urgent, watch=watch)
        self.queue.put(request)
        try:
            return self._rendered(request)
        except torch.AcceleratorError as error:  # caused by this request or another one
            self._on_gpu_lost(error)
            raise
        finally:
            self.queue.discard(request)

    def look_at_cancels(self) -> None:
        """Let cancelled requests that wait for the device end now."""
        self._device.look_again()

    def _rendered(self, request: PendingRequest) -> Rendered:
        take = self._device.take(unless=lambda: self._is_over(request), urgent=request.urgent)
        with take as is_ours:
            if is_ours:
                self._use_device(request)
        if request.cancelled:
            raise RowCancelledError
        if request.rendered is not None:
            return request.rendered
        with suppress(torch.OutOfMemoryError):
            return self._decoded(request)
        with self._device.take(urgent=request.urgent):
            return self._decoded_under_lock(request)

    def _is_over(self, request: PendingRequest) -> bool:
        """Return True if other threads have done everything that needs the device lock."""
        done = request.denoised if self._decoder.is_beside else request.rendered
        return done is not None or request.cancelled

    def _use_device(self, request: PendingRequest) -> None:
        batch = [request] if request.denoised is not None else self._denoise(request)
        if not self._decoder.is_beside:
            request.rendered = self._decoded_under_lock(request)
            # If each thread decoded its own request, these would come between rows of one batch.
            for other in batch:
                if other is not request and other.denoised is not None:
                    self._decode_other(other)

    def _denoise(self, request: PendingRequest) -> list[PendingRequest]:
        """Submit a request and the others of its batch; returns them all."""
        self._denoiser.await_room()
        if self.queue.images_with(request) < self._most_images(request.batch_key):
            # Submitted now, the batch would miss requests that arrive while the device is busy.
            self._denoiser.await_end()
        batch = self.queue.take(request)
        if len(batch) > 1 and not self._denoise_together(batch):
            for other in batch:  # each thread denoises its own, so that no row pays for another
                other.alone = True
        if request.denoised is None:
            request.denoised = self._denoised_alone(request)
        return batch

    def _decode_other(self, request: PendingRequest) -> None:
        try:
            request.rendered = self._decoded_under_lock(request)
        except torch.AcceleratorError:
            raise
        except Exception:  # its own thread decodes it again and meets the error
            logger.exception("decoding_failed")

    def _denoise_together(self, requests: list[PendingRequest]) -> bool:
        """Denoise several requests, in smaller batches if memory is short.

        Returns:
            True if all requests are denoised.
        """
        batch_key = requests[0].batch_key
        while (most := self._most_images(batch_key)) > 1:
            try:
                results = self._submit(requests, most)
            except torch.OutOfMemoryError:
                logger.warning("batch_out_of_memory images=%d size=%s", most, batch_key.size)
            except (torch.AcceleratorError, RowCancelledError):
                raise
            except Exception:  # one request is at fault, and meets the error again when alone
                logger.exception("batch_failed requests=%d", len(requests))
                return False
            else:
                for request, denoised in zip(requests, results, strict=True):
                    request.denoised = denoised
                return True
            # Outside of any handler, because the error's traceback keeps tensors alive.
            _free_memory()
            self._most_that_fit[batch_key] = most // 2
        return False

    def _denoised_alone(self, request: PendingRequest) -> Denoised:
        return self._with_memory(
            request.batch_key,
            lambda: self._submit([request], self._most_images(request.batch_key))[0],
            lambda: self._submit([request], 1)[0],
        )

    def _decoded_under_lock(self, request: PendingRequest) -> Rendered:
        """Decode while no other thread submits anything to the device."""
        return self._with_memory(
            request.batch_key, lambda: self._decoded(request), lambda: self._decoded(request)
        )

    def _with_memory(
        self, batch_key: BatchKey, first: Callable[[], _Made], again: Callable[[], _Made]
    ) -> _Made:
        """Return the result of `first`, or of `again` with all unused memory freed.

        The caller holds the device lock.

        Raises:
            RowFailedError: `out_of_memory`, if both run out of memory.
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

    def _submit(self, requests: Sequence[PendingRequest], most: int) -> list[Denoised]:
        urgent = any(each.urgent for each in requests)
        give_way = (lambda: None) if urgent else self._device.give_way
        return _with_one_memory_error(lambda: self._denoiser.denoise(requests, most, give_way))

    def _decoded(self, request: PendingRequest) -> Rendered:
        denoised = request.denoised
        assert denoised is not None
        return _with_one_memory_error(lambda: self._decoder.decode(denoised))

    def _most_images(self, batch_key: BatchKey) -> int:
        return self._most_that_fit.get(batch_key, self.queue.most_images(batch_key))


def _with_one_memory_error(make: Callable[[], _Made]) -> _Made:
    """Return the result of `make`, with CUDA's own memory error turned into torch's.

    CUDA allocates memory itself when it loads a kernel, at the kernel's first use, and when it pins
    host memory. The device stays usable after such an error.
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
