"""The steps of rows on a device: how many are done, and the rows that should end before the last.

Thread-safe: the thread that denoises counts, and other threads read and cancel.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from pipelines.rows import ManifestRow

_REMEMBERED = 1024


class RowCancelledError(Exception):
    """Ends the work on a row that was cancelled."""


class Steps(NamedTuple):
    """Steps of all images of a row.

    Attributes:
        done: number of steps done.
        total: number of steps in all; 0 before the first one.
    """

    done: int
    total: int


class StepWatch:
    """The steps of one row.

    Attributes:
        images: number of the row's images.
        cancelled: True if the row should end at its next step.
        steps: the steps done.
    """

    def __init__(self, images: int) -> None:
        self.images = images
        self.cancelled = False
        self.steps = Steps(0, 0)

    def check(self) -> None:
        """Raise `RowCancelledError` if the row is cancelled."""
        if self.cancelled:
            raise RowCancelledError

    def begin(self) -> None:
        """Count from the first step again, after an attempt that ran out of memory."""
        self.steps = Steps(0, 0)

    def count(self, images: int, steps_per_image: int) -> None:
        """Add a step of some of the images."""
        self.steps = Steps(self.steps.done + images, steps_per_image * self.images)


class BatchWatch:
    """The steps of images that are denoised together, as an `OnStep`.

    It raises `RowCancelledError` once all rows of the batch are cancelled: a row that is not must
    get its image.
    """

    def __init__(self, watches: Sequence[StepWatch]) -> None:
        """Watch a batch with one of `watches` for each image."""
        self._images = {watch: watches.count(watch) for watch in watches}

    def __call__(self, _done: int, steps_per_image: int) -> None:
        """Count a step."""
        for watch, images in self._images.items():
            watch.count(images, steps_per_image)
        if all(watch.cancelled for watch in self._images):
            raise RowCancelledError


class RowsAtWork:
    """The rows that a worker has, of those with a handling, and the ones that were cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[str, StepWatch] = {}
        self._told: set[str] = set()
        # A cancel can overtake the row: an actor starts its calls in any order.
        self._cancelled: OrderedDict[str, None] = OrderedDict()

    @contextmanager
    def watching(self, row: ManifestRow) -> Iterator[StepWatch | None]:
        """Yield the watch of a row while it is at work; None for a row without a handling."""
        if row.handling is None:
            yield None
            return
        watch = StepWatch(row.parameters.num_images)
        with self._lock:
            watch.cancelled = row.id in self._cancelled
            self._watches[row.id] = watch
            if row.handling.watched:
                self._told.add(row.id)
        try:
            yield watch
        finally:
            with self._lock:
                self._watches.pop(row.id, None)
                self._told.discard(row.id)

    def cancel(self, row_id: str) -> None:
        """Let a row end at its next step, whether it is here or still comes."""
        with self._lock:
            self._cancelled[row_id] = None
            while len(self._cancelled) > _REMEMBERED:
                self._cancelled.popitem(last=False)
            if row_id in self._watches:
                self._watches[row_id].cancelled = True

    def steps(self) -> dict[str, Steps]:
        """Return the steps of the watched rows that have begun."""
        with self._lock:
            found = {row_id: self._watches[row_id].steps for row_id in self._told}
        return {row_id: steps for row_id, steps in found.items() if steps.total}
