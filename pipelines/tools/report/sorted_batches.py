"""Batches in the order of their ids, in temporary files: sorting in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

PART_ROWS = 50_000
"""Rows of a part; a multiple of the rows of each data file."""

Order = npt.NDArray[np.int64]


class SortedBatches:
    """Takes batches with a column `id` in any order; after `sort`, reads them in order.

    Memory: 8 bytes per row and the ids while it sorts, and two parts.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Create the files in `folder`, which the caller removes."""
        self._incoming = folder / f"{name}-incoming.arrow"
        self._sorted = folder / f"{name}.arrow"
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._ids: list[pa.Array] = []
        self._reader: pa.ipc.RecordBatchFileReader | None = None
        self._mapped: pa.ipc.RecordBatchFileReader | None = None
        self._some: dict[tuple[int, tuple[str, ...]], pa.RecordBatch] = {}
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch; all have the same schema."""
        self.rows += batch.num_rows
        self._ids.append(batch["id"])
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        while self._pending_rows >= PART_ROWS:
            whole = pa.Table.from_batches(self._pending)
            self._write(whole.slice(0, PART_ROWS))
            self._pending = whole.slice(PART_ROWS).to_batches()
            self._pending_rows -= PART_ROWS

    def sort(self) -> Order | None:
        """Sort all batches.

        Returns:
            `[rows]`, the place in which each row was added; None if they were added in order.
        """
        if self._pending:
            self._write(pa.Table.from_batches(self._pending))
            self._pending = []
        order = None if _are_sorted(self._ids) else _order(self._ids)
        self._ids = []
        if self._writer is None:
            return order
        self._writer.close()
        path = self._incoming
        if order is not None:
            self._reorder(pa.ipc.open_file(pa.OSFile(str(path))), order)
            path.unlink()
            path = self._sorted
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        self._mapped = pa.ipc.open_file(pa.memory_map(str(path)))
        return order

    def parts(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, `PART_ROWS` in each part but the last."""
        for number in range(0 if self._reader is None else self._reader.num_record_batches):
            yield self.part(number)

    def part(self, number: int) -> pa.RecordBatch:
        """Return one part."""
        assert self._reader is not None
        return self._reader.get_batch(number)

    def row(self, number: int, columns: Sequence[str]) -> pa.RecordBatch:
        """Return some columns of one row; reads no others."""
        key = number // PART_ROWS, tuple(columns)
        if key not in self._some:
            assert self._mapped is not None
            self._some[key] = self._mapped.get_batch(key[0]).select(list(columns))
        return self._some[key].slice(number % PART_ROWS, 1)

    def _write(self, table: pa.Table) -> None:
        whole = table.combine_chunks()
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self._incoming), whole.schema)
        for batch in whole.to_batches():
            self._writer.write_batch(batch)

    def _reorder(self, reader: pa.ipc.RecordBatchFileReader, order: Order) -> None:
        with pa.ipc.new_file(str(self._sorted), reader.schema) as writer:
            for start in range(0, len(order), PART_ROWS):
                wanted = order[start : start + PART_ROWS]
                writer.write_batch(_gathered(reader, wanted))


def _gathered(reader: pa.ipc.RecordBatchFileReader, wanted: Order) -> pa.RecordBatch:
    """Return the rows with these numbers, in this order; each batch is read once."""
    by_place = np.argsort(wanted, kind="stable")
    sources = wanted[by_place]
    cuts = np.searchsorted(sources, np.arange(reader.num_record_batches + 1) * PART_ROWS)
    taken = []
    for number, (first, last) in enumerate(pairwise(cuts.tolist())):
        if first < last:
            places = pa.array(sources[first:last] - number * PART_ROWS)
            taken.append(reader.get_batch(number).take(places))
    back = np.empty(len(wanted), np.int64)
    back[by_place] = np.arange(len(wanted))
    (whole,) = pa.Table.from_batches(taken).combine_chunks().to_batches()
    return whole.take(pa.array(back))


def _are_sorted(ids: Sequence[pa.Array]) -> bool:
    last = None
    for one in ids:
        if not len(one):
            continue
        if last is not None and one[0].as_py() < last:
            return False
        if not pc.all(pc.less_equal(one[:-1], one[1:]), min_count=0).as_py():
            return False
        last = one[-1].as_py()
    return True


def _order(ids: Sequence[pa.Array]) -> Order:
    order: Order = pc.sort_indices(pa.chunked_array(ids)).to_numpy().astype(np.int64)
    return order
