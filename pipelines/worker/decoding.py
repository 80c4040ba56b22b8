"""Decodes latents to images, beside the denoising of the next request where possible."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

from pipelines.worker.batch_queue import Rendered
from pipelines.worker.denoising import Denoised
from pipelines.worker.device_streams import DeviceStreams, Timing
from uso_core.protocol import AnyPipeline


class Decoder:
    """Decodes one request at a time; other threads that call it wait."""

    def __init__(self, pipeline: AnyPipeline, streams: DeviceStreams) -> None:
        """Decode on the decoding stream, or on the denoising stream if there is no other."""
        self._pipeline = pipeline
        self._stream = streams.decoding or streams.denoising
        self._is_beside = streams.decoding is not None
        self._lock = threading.RLock()

    @property
    def is_beside(self) -> bool:
        """True if it may run while other requests are conditioned and denoised."""
        return self._is_beside

    def paused(self) -> AbstractContextManager[object]:
        """Keep other threads from decoding within the block; the device has no decoding left."""
        return self._lock

    def decode(self, denoised: Denoised) -> Rendered:
        """Decode a request's images, and wait for these alone.

        Raises:
            torch.OutOfMemoryError: the device has too little memory.
            FloatingPointError: an image holds NaN.
        """
        pixels, decoding = [], []
        with self._lock, self._stream.current():
            for latents, steps in zip(denoised.latents, denoised.steps, strict=True):
                self._stream.follow(steps.end)
                begin = self._stream.mark()
                pixels.append(self._pipeline.decode_pixels(latents).to_host())
                decoding.append(Timing(begin, self._stream.mark()))
            decoding[-1].end.wait()
        return Rendered(
            images=tuple(each.image() for each in pixels),
            prompt_truncated=denoised.prompt_truncated,
            condition_ms=denoised.condition.ms,
            inference_ms=sum(steps.ms for steps in denoised.steps),
            decode_ms=sum(timing.ms for timing in decoding),
        )
