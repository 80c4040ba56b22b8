"""Submits the conditioning and the steps of requests to the device, without waiting for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.worker.batch_queue import PendingRequest
from pipelines.worker.device_streams import Marker, Stream, Timing
from pipelines.worker.steps import BatchWatch
from uso_core.protocol import AnyPipeline, Conditioned, Prepared

if TYPE_CHECKING:
    from uso_core.model.denoise import OnStep

_AHEAD = 2  # steps of a watched request that are submitted before the device has done them


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

    def denoise(
        self,
        requests: Sequence[PendingRequest],
        most: int,
        give_way: Callable[[], None] = lambda: None,
    ) -> list[Denoised]:
        """Submit requests that share their batch key.

        Args:
            requests: the requests.
            most: most images that are denoised together.
            give_way: called between images that are not denoised together.

        Raises:
            torch.OutOfMemoryError: the device has too little memory.
            RowCancelledError: all requests were cancelled.
        """
        for request in requests:
            if request.watch is not None:
                request.watch.begin()
        with self._stream.current():
            begun = [self._condition(request.prepared) for request in requests]
            self._begun = self._stream.mark()
            images = [(n, seed) for n, each in enumerate(requests) for seed in each.seeds]
            for start in range(0, len(images), most):
                if start:
                    give_way()
                batch = images[start : start + most]
                begin = self._stream.mark()
                latents = self._pipeline.denoise_batch(
                    [begun[n][0] for n, _ in batch],
                    [seed for _, seed in batch],
                    self._on_step([requests[n] for n, _ in batch]),
                )
                steps = Timing(begin, self._stream.mark(), images=len(batch))
                for (n, _), each in zip(batch, latents, strict=True):
                    begun[n][1].latents.append(each)
                    begun[n][1].steps.append(steps)
                self._ended = steps.end
        return [denoised for _, denoised in begun]

    def _on_step(self, images: Sequence[PendingRequest]) -> OnStep | None:
        """Return a function that counts steps as the device does them; None if nobody looks."""
        watches = [request.watch for request in images if request.watch is not None]
        if len(watches) < len(images):
            return None
        count, ahead = BatchWatch(watches), deque[Marker]()

        def on_step(done: int, total: int) -> None:
            # A GPU would take all steps at once, and none could be taken back.
            ahead.append(self._stream.mark())
            if len(ahead) > _AHEAD:
                ahead.popleft().wait()
            count(done, total)

        return on_step

    def _condition(self, prepared: Prepared) -> tuple[Conditioned, Denoised]:
        begin = self._stream.mark()
        conditioning: Conditioned = self._pipeline.condition(prepared)
        timing = Timing(begin, self._stream.mark())
        return conditioning, Denoised(conditioning.prompt_truncated, timing)
