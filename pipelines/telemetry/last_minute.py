"""What was so a minute ago: whatever is told of as a pace looks back to it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

_WINDOW_S = 60.0

Mark = TypeVar("Mark")


class LastMinute(Generic[Mark]):
    """Marks of the last minute, or the last two where they are further apart."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, Mark]] = deque()

    def note(self, at_s: float, mark: Mark) -> tuple[float, Mark]:
        """Take in how it is at `at_s`, by a clock of the caller's.

        Returns:
            When the oldest mark that is kept was, and the mark; the first time, what was given.
        """
        self._marks.append((at_s, mark))
        while len(self._marks) > 2 and at_s - self._marks[0][0] > _WINDOW_S:
            self._marks.popleft()
        return self._marks[0]
