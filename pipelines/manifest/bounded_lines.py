"""Reads lines of bounded length, so that a file without line breaks does not fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from pipelines.arrow_sizes import VALUE_BYTES

_MANY = 2**20
_REST = 2**20
_SHOWN = 1000
_CSV_MARKS = (",", ";", "\t", "|")
_JSON_MARKS = (b",", b"[", b"{")


class _Readable(Protocol):
    def readline(self, size: int, /) -> Any: ...  # noqa: ANN401 (bytes or text)


class LongLineError(Exception):
    """A line, or the lines of one row, are longer than the limit.

    Attributes:
        start: the first characters of the line, with its line break cut off.
    """

    def __init__(self, start: Any, most: int) -> None:  # noqa: ANN401 (bytes or text)
        super().__init__(f"takes more than manifest.max_row_mb, {most / 1e6:g} MB")
        self.start = start


class BoundedLines(Iterator[Any]):
    """The lines of a file, in bytes or text. Reading goes past a line that raised an error.

    Args:
        source: the file.
        most: the limit of a row, in bytes or characters and 64 for each value.

    Attributes:
        number: the number of lines so far.
        row_size: the size of the row so far.
    """

    def __init__(self, source: _Readable, most: int) -> None:
        self._source = source
        self._most = most
        self.number = 0
        self.row_size = 0
        self._next: Any = None
        self._in_quotes = False

    def put_back(self, line: Any) -> None:  # noqa: ANN401 (bytes or text)
        """Return a line once more, as the first one."""
        self._next, self.number = line, 0
        self.begin_row()

    def __next__(self) -> Any:  # noqa: ANN401 (bytes or text)
        """Return the next line.

        Raises:
            LongLineError: it is too long.
        """
        line = self._next or self._source.readline(self._most + 1)
        self._next = None
        if not line:
            raise StopIteration
        self.number += 1
        self.row_size += len(line)
        self._in_quotes ^= isinstance(line, str) and line.count('"') % 2 == 1
        if len(line) > _MANY:
            self.row_size += VALUE_BYTES * _num_marks(line)
        if self.row_size <= self._most:
            return line
        self._skip_row(line)
        raise LongLineError(line[:_SHOWN].strip(), self._most)

    def begin_row(self) -> None:
        """Begin a row, of one line, or of more with line breaks in quotes."""
        self.row_size = 0
        self._in_quotes = False

    def _skip_row(self, line: Any) -> None:  # noqa: ANN401 (bytes or text)
        end = b"\n" if isinstance(line, bytes) else "\n"
        while line and (self._in_quotes or not line.endswith(end)):
            is_new = line.endswith(end)
            line = self._source.readline(_REST)
            self.number += bool(is_new and line)
            self._in_quotes ^= isinstance(line, str) and line.count('"') % 2 == 1


def most_row_size(lines: str, most: int) -> int:
    """Return an upper bound of the size of each row in some lines, as `BoundedLines` counts it.

    Args:
        lines: the lines.
        most: the limit of a row; the marks in shorter lines need not be counted.
    """
    if len(lines) <= _MANY or len(lines) * (1 + VALUE_BYTES) <= most:
        return len(lines)
    return len(lines) + VALUE_BYTES * _num_marks(lines)


def _num_marks(line: bytes | str) -> int:
    """Return an upper bound of the number of values in a line."""
    if isinstance(line, bytes):
        return sum(map(line.count, _JSON_MARKS))
    return max(map(line.count, _CSV_MARKS))
