"""Submits the conditioning and the steps of requests to the device, without waiting for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.worker.device_streams import Marker, Stream, Timing
from uso_core.protocol import AnyPipeline, Conditioned, Prepared


@dataclass(eq=False, slots=True)
class Denoised:
    """A request whose steps are done or submitted; only its decoding is left.

    Attributes:
        prompt_truncated: True if the prompt was longer than the text encoder accepts.
        condition: timing of its encoders.
        latents: latents of each image. They live in the denoising stream's memory, so they stay
            here until they are decoded.
        steps: timing of each image's steps, in the same order.
    """

    prompt_truncated: bool
    condition: Timing
    latents: list[object] = field(default_factory=list)
    steps: list[Timing] = field(default_factory=list)


class Denoiser:
    """Submits requests to the denoising stream. For one thread at a time."""

    def __init__(self, pipeline: AnyPipeline, stream: Stream) -> None:
        """Use `pipeline` on `stream`, and nowhere else for denoising."""
        self._pipeline = pipeline
        self._stream = stream
        self._begun: Marker | None = None
        self._ended: Marker | None = None

    def await_room(self) -> None:
        """Wait until the steps of the last request have begun.

        One request may be submitted while another runs, but no more. So the device runs without a
        gap, and no request takes memory long before it runs.
        """
        if self._begun is not None:
            self._begun.wait()

    def await_end(self) -> None:
        """Wait until the device has nothing left to denoise."""
        if self._ended is not None:
            self._ended.wait()

    def denoise(self, requests: Sequence[tuple[Prepared, range]], most: int) -> list[Denoised]:
        """Submit requests that share their batch key.

        Args:
            requests: each request with the seeds of its images.
            most: most images that are denoised together.

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
        timing = Timing(begin, self._stream.mark())
        return conditioning, Denoised(conditioning.prompt_truncated, timing)
