"""Requests that wait for a device, grouped into batches that are denoised together."""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from PIL import Image

from pipelines.worker.steps import StepWatch

if TYPE_CHECKING:
    from pipelines.worker.denoising import Denoised
    from uso_core.protocol import BatchKey, Prepared

BATCHED_PIXELS = 640 * 640
"""Outputs up to this size are batched, because one alone does not keep a large GPU busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The images of one request, and their device time in milliseconds without waiting.

    Attributes:
        images: RGB, one per seed, in order.
        prompt_truncated: True if the prompt was longer than the text encoder accepts.
        condition_ms: time to encode the request.
        inference_ms: time to denoise all images; for a batch, this request's share of it.
        decode_ms: time to decode all images.
    """

    images: tuple[Image.Image, ...]
    prompt_truncated: bool
    condition_ms: float
    inference_ms: float
    decode_ms: float


@dataclass(eq=False, slots=True)
class PendingRequest:
    """One request on its way through the device.

    Attributes:
        prepared: the request.
        seeds: one seed per image.
        denoised: its latents, set by the thread that denoised it; not always its own thread.
        rendered: its images, set only where decoding needs the device lock.
        alone: True if it must not share a batch.
        urgent: True if it goes before requests that are not.
        watch: counts its steps and can cancel it; None: neither.
    """

    prepared: Prepared
    seeds: range
    urgent: bool = False
    watch: StepWatch | None = None
    denoised: Denoised | None = None
    rendered: Rendered | None = None
    alone: bool = False

    @property
    def batch_key(self) -> BatchKey:
        """The key that all requests of a batch share."""
        return self.prepared.batch_key

    @property
    def cancelled(self) -> bool:
        """True if its result is no longer wanted."""
        return self.watch is not None and self.watch.cancelled


class DeviceLock:
    """The right to submit work to a device; one thread holds it at a time.

    Threads get it in the order in which they ask, the urgent ones first.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_taken = False
        self._numbers = count(1)
        self._waiting: list[tuple[bool, int]] = []  # False sorts before True: urgent ones first

    @contextmanager
    def take(
        self, unless: Callable[[], bool] = lambda: False, *, urgent: bool = False
    ) -> Iterator[bool]:
        """Hold the lock for the block, unless another thread does the work first.

        Args:
            unless: returns True once another thread has done this thread's work.
            urgent: go before the threads that are not urgent.

        Yields:
            True if this thread holds the lock; False if `unless` became true while it waited.
        """
        with self._changed:
            is_ours = self._await((not urgent, next(self._numbers)), unless)
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._changed:
                    self._is_taken = False
                    self._changed.notify_all()

    def give_way(self) -> None:
        """Let urgent threads that wait go first; for the thread that holds the lock."""
        with self._changed:
            if self._waiting and not self._waiting[0][0]:
                self._is_taken = False
                self._changed.notify_all()
                self._await((True, 0), lambda: False)

    def look_again(self) -> None:
        """Let waiting threads ask again whether their work is done."""
        with self._changed:
            self._changed.notify_all()

    def _await(self, place: tuple[bool, int], unless: Callable[[], bool]) -> bool:
        """Wait for a turn; returns False if `unless` became true before."""
        insort(self._waiting, place)
        try:
            self._changed.wait_for(
                lambda: unless() or (not self._is_taken and self._waiting[0] == place)
            )
            is_ours = not unless()
        finally:
            self._waiting.remove(place)
        if is_ours:
            self._is_taken = True
        self._changed.notify_all()  # the next thread may be the first now
        return is_ours


class BatchQueue:
    """The requests that wait for the device. Thread-safe."""

    def __init__(self, most_images: int) -> None:
        """Start empty.

        Args:
            most_images: most images in a batch; 1: there are no batches.
        """
        self._most_images = most_images
        self._lock = threading.Lock()
        self._pending: list[PendingRequest] = []

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, request: PendingRequest) -> None:
        """Append a request."""
        with self._lock:
            self._pending.append(request)

    def most_images(self, batch_key: BatchKey) -> int:
        """Return the most images in a batch with this key."""
        small = batch_key.size.width * batch_key.size.height <= BATCHED_PIXELS
        return self._most_images if small else 1

    def images_with(self, request: PendingRequest) -> int:
        """Return the number of images in the batch that `take` would return now."""
        with self._lock:
            return sum(len(each.seeds) for each in self._batch(request))

    def take(self, request: PendingRequest) -> list[PendingRequest]:
        """Remove and return a request and the oldest ones that fit into a batch with it."""
        with self._lock:
            batch = self._batch(request)
            self._pending = [other for other in self._pending if other not in batch]
        return batch

    def discard(self, request: PendingRequest) -> None:
        """Remove a request, if it still waits."""
        with self._lock:
            self._pending = [other for other in self._pending if other is not request]

    def _batch(self, request: PendingRequest) -> list[PendingRequest]:
        room = self.most_images(request.batch_key) - len(request.seeds)
        batch = [request]
        for other in self._pending:
            fits = len(other.seeds) <= room and other.batch_key == request.batch_key
            if fits and other is not request and not (request.alone or other.alone):
                batch.append(other)
                room -= len(other.seeds)
        return batch
