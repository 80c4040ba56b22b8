"""Rows in a temporary Arrow file, cut into parts of the same size."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.tools.report.temporary_space import writing

PART_ROWS = 10_000
"""Rows of a part; a multiple of the rows of each data file."""


class PartFile:
    """Takes batches with a column `id` in order; after `finish`, reads parts of `PART_ROWS` rows.

    Memory: two parts, and two ids for each part.
    """

    def __init__(self, path: Path) -> None:
        """Create the file, which the caller removes, with the first batch."""
        self._path = path
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._schema: pa.Schema | None = None
        self._first_ids: list[str] = []
        self._last_ids: list[str] = []
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch; all have the same schema.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        self.rows += batch.num_rows
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        if self._pending_rows >= PART_ROWS:
            whole = whole_batch(self._pending)
            end = len(whole) - len(whole) % PART_ROWS
            for start in range(0, end, PART_ROWS):
                self._write(whole.slice(start, PART_ROWS))
            self._pending, self._pending_rows = [whole.slice(end)], len(whole) - end

    def finish(self) -> None:
        """Write the last part.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        if self._pending_rows:
            self._write(whole_batch(self._pending))
        self._pending, self._pending_rows = [], 0
        if self._writer is not None:
            with writing(self._path.parent):
                self._writer.close()

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        assert self._schema is not None
        return self._schema

    def all(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the parts in order.

        Args:
            columns: columns to read; None: all.
        """
        yield from self._parts(range(len(self._first_ids)), columns)

    def between(self, lowest: str, highest: str) -> Iterator[pa.RecordBatch]:
        """Yield the parts that may have an id from `lowest` to `highest`."""
        first = bisect_left(self._last_ids, lowest)
        yield from self._parts(range(first, bisect_right(self._first_ids, highest)), None)

    def part(self, number: int) -> pa.RecordBatch:
        """Return one part."""
        (part,) = self._parts([number], None)
        return part

    def take(self, rows: npt.NDArray[np.int64], columns: Sequence[str]) -> pa.RecordBatch:
        """Return some columns of these rows, whose numbers ascend; reads no others."""
        parts = rows // PART_ROWS
        numbers = np.unique(parts).tolist()
        found = [
            part.take(pa.array(rows[parts == number] - number * PART_ROWS))
            for number, part in zip(numbers, self._parts(numbers, columns), strict=True)
        ]
        empty = pa.schema([self.schema.field(name) for name in columns]).empty_table()
        return whole_batch(found or empty.to_batches(), empty.schema)

    def _parts(
        self, numbers: Sequence[int], columns: Sequence[str] | None
    ) -> Iterator[pa.RecordBatch]:
        if not numbers:
            return
        wanted = None if columns is None else [self.schema.get_field_index(n) for n in columns]
        options = pa.ipc.IpcReadOptions(included_fields=wanted)
        with pa.OSFile(str(self._path)) as file:
            reader = pa.ipc.open_file(file, options=options)
            for number in numbers:
                yield reader.get_batch(number)

    def _write(self, part: pa.RecordBatch) -> None:
        with writing(self._path.parent):
            if self._writer is None:
                self._schema = part.schema
                self._writer = pa.ipc.new_file(str(self._path), part.schema)
            self._writer.write_batch(part)
        self._first_ids.append(part["id"][0].as_py())
        self._last_ids.append(part["id"][-1].as_py())


def whole_batch(
    batches: Sequence[pa.RecordBatch], schema: pa.Schema | None = None
) -> pa.RecordBatch:
    """Return the rows of batches as one; batches without a row need a schema."""
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches, schema).combine_chunks()
    found = table.to_batches()
    if len(found) == 1:
        return found[0]
    return pa.RecordBatch.from_arrays(
        [pa.nulls(0, f.type) for f in table.schema], schema=table.schema
    )
