"""The parts of an output that its driver knows; small ones are merged from time to time."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.ledger.compaction import is_small
from pipelines.ledger.parts import Part


class LiveParts:
    """The parts that hold the records now.

    Attributes:
        paths: their paths.
    """

    def __init__(self, sized: Iterable[tuple[Part, int]]) -> None:
        """Begin with these parts, each with its number of rows."""
        self.paths: set[str] = set()
        self._small: dict[str, Part] = {}
        for part, rows in sized:
            self.add(part, rows)

    @property
    def num_small(self) -> int:
        """The number of parts that can be merged."""
        return len(self._small)

    @property
    def small(self) -> list[Part]:
        """The parts that can be merged, sorted by name."""
        return [self._small[path] for path in sorted(self._small)]

    def add(self, part: Part, rows: int) -> None:
        """Add a part with its number of rows."""
        self.paths.add(part.path)
        if rows and is_small(part, rows):  # a part without rows is a fence
            self._small[part.path] = part

    def remove(self, path: str) -> None:
        """Remove a part, if it is known."""
        self.paths.discard(path)
        self._small.pop(path, None)

    def forget_small(self) -> None:
        """Merge none of these parts: they are out of date."""
        self._small.clear()
