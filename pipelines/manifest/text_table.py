"""Tables in text formats: lines that become rows one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import ManifestError
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.json_types import JsonTypes
from pipelines.manifest.row_parser import UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.table import SourceRow
from pipelines.parquet_batches import LargeRow

Line = tuple[Mapping[str, Any] | UnreadableRow, int]
"""A row's cells by the user's column names, and roughly their size in bytes."""
ReadLines = Callable[[ManifestFile], Iterator[Line]]

_CHUNK_ROWS = 1024
_CHUNK_BYTES = 8 * 2**20


@dataclass(frozen=True)
class LineBatch:
    """A `RowBatch` of a format without columns."""

    lines: list[SourceRow]
    columns: None = None

    @property
    def large(self) -> Mapping[int, LargeRow]:
        """Empty: a line over the limit is not read."""
        return {}

    def __len__(self) -> int:
        return len(self.lines)

    def head(self, count: int) -> LineBatch:
        """Return the first `count` rows, or all if there are fewer."""
        return LineBatch(self.lines[:count])

    def where(self, mask: npt.NDArray[np.bool_]) -> LineBatch:
        """Return the rows for which `mask`, `[n]`, is True."""
        return LineBatch([self.lines[row] for row in np.flatnonzero(mask)])

    def rows(self) -> list[SourceRow]:
        """Return the rows as Python objects."""
        return self.lines


@dataclass(frozen=True)
class TextTable:
    """A file in a text format; see `pipelines.manifest.table.Table`.

    A line that is not a row becomes one `UnreadableRow`, and affects no other row.

    Attributes:
        file: the file.
        read_lines: reads the rows; `OSError`s that it raises end the reading.
        schema: all columns.
        num_rows: the number of rows; None if only reading them would tell.
        typed: False if every value is text in the file.
    """

    file: ManifestFile
    read_lines: ReadLines
    schema: pa.Schema
    num_rows: int | None
    typed: bool

    @property
    def uri(self) -> str:
        """The file's URI for messages, without credentials."""
        return self.file.uri

    @property
    def groups(self) -> tuple[int, ...]:
        """No groups: the rows of a text have no digests, so that all are read."""
        return ()

    def batches(
        self,
        plan: ColumnPlan,
        *,
        most_rows: int | None = None,  # noqa: ARG002 (for tables with columns)
        groups: range | None = None,  # noqa: ARG002 (for tables with groups)
    ) -> Iterator[LineBatch]:
        """Yield all rows in order, each with its pass-through cells.

        Raises:
            ManifestError: the file is gone or has changed.
        """
        for lines in chunks(self.file, self.read_lines):
            yield LineBatch(self.planned(lines, plan))

    def planned(self, lines: Sequence[Line], plan: ColumnPlan) -> list[SourceRow]:
        """Return lines as rows."""
        return [self._planned(row, plan) for row, _ in lines]

    def fitted(self, value: Any, field: pa.Field) -> Any:  # noqa: ANN401 (any value of a line)
        """Return a value of a line as a value of the field's type."""
        return JsonTypes.fitted(value, field)

    def _planned(self, row: Mapping[str, Any] | UnreadableRow, plan: ColumnPlan) -> SourceRow:
        names = plan.extra_schema.names
        if isinstance(row, UnreadableRow):
            return row, dict.fromkeys(names)
        raw = {ours: row.get(theirs) for ours, theirs in plan.inputs.items()}
        cells = zip(plan.extra_schema, plan.extra_sources, strict=True)
        return raw, {field.name: self.fitted(row.get(theirs), field) for field, theirs in cells}


def chunks(file: ManifestFile, read_lines: ReadLines) -> Iterator[list[Line]]:
    """Yield the lines of a file in lists of bounded size.

    Raises:
        ManifestError: the file is gone or has changed.
    """
    chunk: list[Line] = []
    size = 0
    try:
        for line in read_lines(file):
            chunk.append(line)
            size += line[1]
            if len(chunk) == _CHUNK_ROWS or size >= _CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
    except OSError as error:
        raise cannot_read_on(file, error) from error
    if chunk:
        yield chunk


def cannot_read_on(file: ManifestFile, error: OSError) -> ManifestError:
    """Return the error for a file that fails while it is read."""
    return ManifestError(file.uri, f"cannot be read any further ({error})")
