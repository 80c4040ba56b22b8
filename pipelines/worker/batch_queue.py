"""Requests that wait for their turn on a device, and which of them are drawn together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pipelines.worker.denoising import Denoised
    from uso_core.protocol import BatchKey, Prepared

BATCHED_PIXELS = 640 * 640
"""Outputs up to this size are drawn together: one alone does not keep a large GPU busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The images of one request, and the device time they took.

    Attributes:
        images: RGB, one per seed, in order.
        prompt_truncated: the prompt was longer than 512 T5 tokens.
        condition_ms: milliseconds on the device, without waiting for it.
        inference_ms: likewise, of all images; of what was drawn together, its share.
        decode_ms: likewise, of all images.
    """

    images: tuple[Image.Image, ...]
    prompt_truncated: bool
    condition_ms: float
    inference_ms: float
    decode_ms: float


@dataclass(eq=False, slots=True)
class PendingRequest:
    """One request that is to be drawn.

    Attributes:
        seeds: one for each image.
        denoised: what a turn, its own or another thread's, has made of it.
        drawing: likewise, where it is decoded in turns.
        alone: whether it is to be drawn without others.
    """

    prepared: Prepared
    seeds: range
    denoised: Denoised | None = None
    drawing: Rendered | None = None
    alone: bool = False

    @property
    def batch_key(self) -> BatchKey:
        """What it has in common with those that can be drawn with it."""
        return self.prepared.batch_key


class DeviceLock:
    """The right to give work to a device, which one thread has at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_taken = False

    @contextmanager
    def take(self, unless: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Wait for the turn and have it, or wait until it is not needed any more.

        Args:
            unless: whether another thread's turn has made this one needless.

        Yields:
            Whether this thread has the turn.
        """
        with self._changed:
            self._changed.wait_for(lambda: unless() or not self._is_taken)
            is_ours = not unless()
            if is_ours:
                self._is_taken = True
        try:
            yield is_ours
        finally:
            if is_ours:
                with self._changed:
                    self._is_taken = False
                    self._changed.notify_all()


class BatchQueue:
    """Where requests wait. Safe to use from several threads.

    Args:
        most_images: that are drawn together; 1: none.
    """

    def __init__(self, most_images: int) -> None:
        self._most_images = most_images
        self._lock = threading.Lock()
        self._waiting: list[PendingRequest] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, request: PendingRequest) -> None:
        """Let a request wait."""
        with self._lock:
            self._waiting.append(request)

    def most_images(self, batch_key: BatchKey) -> int:
        """How many images of a form are drawn together."""
        small = batch_key.size.width * batch_key.size.height <= BATCHED_PIXELS
        return self._most_images if small else 1

    def images_with(self, request: PendingRequest) -> int:
        """How many images would be drawn if a request was called now, its own among them."""
        with self._lock:
            return sum(len(each.seeds) for each in self._fitting(request))

    def call(self, request: PendingRequest) -> list[PendingRequest]:
        """Take a request out, and those that can be drawn with it, the first to come first."""
        with self._lock:
            called = self._fitting(request)
            self._waiting = [other for other in self._waiting if other not in called]
        return called

    def _fitting(self, request: PendingRequest) -> list[PendingRequest]:
        room = self.most_images(request.batch_key) - len(request.seeds)
        fitting = [request]
        for other in self._waiting:
            fits = len(other.seeds) <= room and other.batch_key == request.batch_key
            if fits and other is not request and not (request.alone or other.alone):
                fitting.append(other)
                room -= len(other.seeds)
        return fitting
