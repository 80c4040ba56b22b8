"""The steps of requests, given to the device and not waited for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.worker.device_streams import Marker, Stream, Timing
from uso_core.protocol import AnyPipeline, Conditioned, Prepared


@dataclass(eq=False, slots=True)
class Denoised:
    """A request that is on the device, or through it: what is left is to decode it.

    Attributes:
        prompt_truncated: the prompt was longer than 512 T5 tokens.
        condition: the work of its encoders.
        latents: of each image. They are the drawing stream's: kept here until they were decoded.
        steps: of each image, in the same order.
    """

    prompt_truncated: bool
    condition: Timing
    latents: list[object] = field(default_factory=list)
    steps: list[Timing] = field(default_factory=list)


class Denoiser:
    """Gives requests to the drawing stream. For one thread at a time."""

    def __init__(self, pipeline: AnyPipeline, stream: Stream) -> None:
        """Use `pipeline` on `stream`, which is to be the only one on which it denoises."""
        self._pipeline = pipeline
        self._stream = stream
        self._begun: Marker | None = None
        self._ended: Marker | None = None

    def await_room(self) -> None:
        """Wait until the steps of the last request have begun.

        So one request can be given to the device while one is at work, and none more: the device
        goes on without a gap, and a request's memory is not taken long before its time.
        """
        if self._begun is not None:
            self._begun.wait()

    def await_end(self) -> None:
        """Wait until the device has nothing to denoise."""
        if self._ended is not None:
            self._ended.wait()

    def denoise(self, requests: Sequence[tuple[Prepared, range]], most: int) -> list[Denoised]:
        """Give requests of one form to the device.

        Args:
            requests: each with the seeds of its images.
            most: images that are denoised together.

        Raises:
            torch.OutOfMemoryError: the device has too little memory.
        """
        with self._stream.current():
            begun = [self._condition(prepared) for prepared, _ in requests]
            self._begun = self._stream.mark()
            images = [(n, seed) for n, (_, seeds) in enumerate(requests) for seed in seeds]
            for start in range(0, len(images), most):
                batch = images[start : start + most]
                begin = self._stream.mark()
                latents = self._pipeline.denoise_batch(
                    [begun[n][0] for n, _ in batch], [seed for _, seed in batch]
                )
                steps = Timing(begin, self._stream.mark(), images=len(batch))
                for (n, _), each in zip(batch, latents, strict=True):
                    begun[n][1].latents.append(each)
                    begun[n][1].steps.append(steps)
                self._ended = steps.end
        return [denoised for _, denoised in begun]

    def _condition(self, prepared: Prepared) -> tuple[Conditioned, Denoised]:
        begin = self._stream.mark()
        conditioning: Conditioned = self._pipeline.condition(prepared)
        span = Timing(begin, self._stream.mark())
        return conditioning, Denoised(conditioning.prompt_truncated, span)
