"""Batches in the order of their ids, in temporary files: sorting in bounded memory.

A look at the ids, before all else is read, finds bounds that cut the rows into ranges of about the
same size. Batches are cut at these bounds as they come, and at the end each range is sorted alone.
If the ids come in order, nothing is cut and nothing is sorted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tools.report.part_file import PartFile, whole_batch
from pipelines.tools.report.temporary_space import writing

_RANGE_ROWS = 10_000
_MOST_RANGES = 256
_SAMPLES = 64
"""Ids of a range that the look keeps."""
_CUT_BYTES = 8 * 2**20
"""Size of the rows that are cut at once: each range that they touch gets a batch of its own."""


@dataclass(frozen=True)
class IdOrder:
    """The order in which ids come.

    Attributes:
        is_sorted: True if it is the ascending one.
        bounds: ids that begin a range, ascending; the first range begins before all ids.
    """

    is_sorted: bool = False
    bounds: Sequence[str] = field(default_factory=list)

    @classmethod
    def of(cls, ids: Iterable[pa.Array], count: int) -> IdOrder:
        """Look at all ids, in batches.

        Args:
            ids: the ids; some in a hundred are kept, 16,384 at most.
            count: their number.
        """
        step = max(_RANGE_ROWS, count // _MOST_RANGES) // _SAMPLES
        kept: list[str] = []
        last: str | None = None
        is_sorted, rows = True, 0
        for some in ids:
            if not len(some):
                continue
            is_sorted = (
                is_sorted and is_ascending(some) and (last is None or last <= some[0].as_py())
            )
            kept += some[-rows % step :: step].to_pylist()
            last = some[-1].as_py()
            rows += len(some)
        return cls(is_sorted, [] if is_sorted else sorted(kept)[_SAMPLES::_SAMPLES])


class SortedBatches:
    """Takes batches with a column `id`; after `sort`, `parts` has them in order.

    Memory: the rows of one range, three times: 10,000 rows, or over 2.5 million rows 1 of 256.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Create the files in `folder`, which the caller removes."""
        self._folder, self._name = folder, name
        self._order = IdOrder()
        self._ranges: _Ranges | None = None
        self.parts = PartFile(folder / f"{name}.arrow")

    @property
    def rows(self) -> int:
        """The number of rows so far."""
        return self.parts.rows + (0 if self._ranges is None else self._ranges.rows)

    def expect(self, order: IdOrder) -> None:
        """Take batches whose ids come in this order; before the first one."""
        self._order = order

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch; all have the same schema.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        if self._order.is_sorted:
            self.parts.add(batch)
            return
        if self._ranges is None:
            path = self._folder / f"{self._name}-ranges.arrow"
            self._ranges = _Ranges(path, batch.schema, self._order.bounds)
        self._ranges.add(batch)

    def sort(self) -> None:
        """Sort all batches.

        Raises:
            StorageError: the temporary folder is full or not writable.
        """
        ranges, self._ranges = self._ranges, None
        if ranges is not None:
            for one in ranges.sorted():
                self.parts.add(one)
            ranges.remove()
        self.parts.finish()


class _Ranges:
    """Rows by ranges of their ids, each in several batches of one file."""

    def __init__(self, path: Path, schema: pa.Schema, bounds: Sequence[str]) -> None:
        self._path, self._bounds = path, bounds
        with writing(path.parent):
            self._writer = pa.ipc.new_file(str(path), schema)
        self._batches: list[list[int]] = [[] for _ in range(len(bounds) + 1)]
        self._written = 0
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._pending_bytes >= _CUT_BYTES:
            self._cut()

    def sorted(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of each range, sorted."""
        self._cut()
        with writing(self._path.parent):
            self._writer.close()
        with pa.OSFile(str(self._path)) as file:
            reader = pa.ipc.open_file(file)
            for numbers in self._batches:
                if numbers:
                    yield _sorted([reader.get_batch(number) for number in numbers])

    def remove(self) -> None:
        self._path.unlink()

    def _cut(self) -> None:
        if not self._pending:
            return
        rows = _sorted(self._pending)
        self._pending, self._pending_bytes = [], 0
        ids = rows["id"]
        places = range(len(ids))
        cuts = [bisect_left(places, bound, key=lambda n: ids[n].as_py()) for bound in self._bounds]
        for number, (start, end) in enumerate(pairwise([0, *cuts, len(ids)])):
            if start < end:
                with writing(self._path.parent):
                    self._writer.write_batch(rows.slice(start, end - start))
                self._batches[number].append(self._written)
                self._written += 1


def _sorted(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    whole = whole_batch(batches)
    if is_ascending(whole["id"]):
        return whole
    return whole.take(pc.sort_indices(whole["id"]))


def is_ascending(ids: pa.Array) -> bool:
    """Return True if no id is less than the one before it."""
    ascending: bool = pc.all(pc.less_equal(ids[:-1], ids[1:]), min_count=0).as_py()
    return ascending
