"""From latents to images, on the device, beside what is drawn next where it has a lane for that."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

from pipelines.worker.batch_queue import Rendered
from pipelines.worker.denoising import Denoised
from pipelines.worker.device_streams import DeviceStreams, Timing
from uso_core.protocol import AnyPipeline


class Decoder:
    """Decodes one request at a time; the other threads that call wait."""

    def __init__(self, pipeline: AnyPipeline, lanes: DeviceStreams) -> None:
        """Use `pipeline` on the decoding lane; without one, on the drawing lane."""
        self._pipeline = pipeline
        self._stream = lanes.decoding or lanes.drawing
        self._is_beside = lanes.decoding is not None
        self._lock = threading.RLock()

    @property
    def is_beside(self) -> bool:
        """Whether it may go on while other requests are conditioned and denoised."""
        return self._is_beside

    def paused(self) -> AbstractContextManager[object]:
        """Within, no other thread decodes, and nothing that was decoded is still on the device."""
        return self._lock

    def decode(self, denoised: Denoised) -> Rendered:
        """Decode a request's images, and wait for them alone.

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
            decode_ms=sum(span.ms for span in decoding),
        )
