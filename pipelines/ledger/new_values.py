"""New values of the user's own columns, for records of rows that need not be generated again.

While the manifest is read, the values collect in a temporary file. At the end of the run, each of
these records is written again with them, as a record of its own; compaction then drops the old one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.arrow_types.cells import column_of
from pipelines.arrow_types.stored import recorded_schema
from pipelines.image_values import is_of_run
from pipelines.keys.column import Column
from pipelines.keys.index import SortedKeys, UInt64, halves_of, row_keys
from pipelines.ledger.parts import (
    Part,
    conformed,
    kept_batches,
    list_parts,
    open_part,
    readable,
    unified_schema,
)
from pipelines.record import COLUMNS_DIGEST, EDITION_DIGEST, EDITION_ROW, RECORD_NAMES
from pipelines.rows import ManifestEntry
from pipelines.storage.storage import Storage

_CHUNK_ROWS = 4096
_CHUNK_BYTES = 16 * 2**20
_FACTS = ("source_digest", COLUMNS_DIGEST, EDITION_DIGEST, EDITION_ROW)
_BATCH_ROWS = 8192


class NewValues:
    """Collects values, in the order of the manifest; 24 bytes of memory per row.

    Args:
        own: the user's own columns, with their types in the records.
    """

    def __init__(self, own: pa.Schema) -> None:
        self.own = recorded_schema(own)
        self._schema = pa.schema([*((name, pa.int64()) for name in _FACTS), *self.own])
        self._file = tempfile.TemporaryFile(prefix="uso-values-")  # noqa: SIM115 (see `close`)
        self._chunks: list[tuple[int, int, int]] = []  # first row, place and size in the file
        self._waiting: list[ManifestEntry] = []
        self._waiting_bytes = 0
        self._high, self._low = Column(np.uint64), Column(np.uint64)
        self._read: tuple[int, pa.RecordBatch] | None = None

    def __len__(self) -> int:
        return len(self._high.values) + len(self._waiting)

    def add(self, entry: ManifestEntry) -> None:
        """Add the values of a row; a row is added once at most."""
        self._waiting.append(entry)
        self._waiting_bytes += entry.num_bytes
        if len(self._waiting) >= _CHUNK_ROWS or self._waiting_bytes >= _CHUNK_BYTES:
            self._flush()

    def keys(self) -> SortedKeys:
        """Return the keys of the rows, each with its number, from 0."""
        self._flush()
        high, low = self._high.values, self._low.values
        return SortedKeys.sort(high, low, np.arange(len(high)))

    def take(self, numbers: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Return the facts and own columns of the rows with these numbers, in this order."""
        starts = np.array([first for first, _, _ in self._chunks])
        chunk_of = np.searchsorted(starts, numbers, side="right") - 1
        order = np.argsort(chunk_of, kind="stable")
        pieces = []
        for chunk in np.unique(chunk_of).tolist():
            inside = numbers[order][chunk_of[order] == chunk] - starts[chunk]
            pieces.append(self._chunk(chunk).take(pa.array(inside)))
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        joined = pa.Table.from_batches(pieces, self._schema).combine_chunks()
        return joined.take(pa.array(back)).combine_chunks().to_batches()[0]

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()

    def _flush(self) -> None:
        entries, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not entries:
            return
        batch = pa.Table.from_arrays(
            [
                *(pa.array(facts, pa.int64()) for facts in zip(*map(_facts, entries), strict=True)),
                *(
                    column_of([entry.extra.get(field.name) for entry in entries], field.type)
                    for field in self.own
                ),
            ],
            schema=self._schema,
        ).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self._schema) as writer:
            writer.write_table(batch)
        content = sink.getvalue()
        place = self._file.seek(0, 2)
        self._file.write(content)
        self._chunks.append((len(self._high.values), place, content.size))
        high, low = halves_of(row_keys(entry.row.id.encode() for entry in entries))
        self._high.extend(high)
        self._low.extend(low)

    def _chunk(self, number: int) -> pa.RecordBatch:
        if self._read is None or self._read[0] != number:
            _, place, num_bytes = self._chunks[number]
            self._file.seek(place)
            with pa.ipc.open_stream(self._file.read(num_bytes)) as reader:
                self._read = (number, reader.read_all().combine_chunks().to_batches()[0])
        return self._read[1]


def _facts(entry: ManifestEntry) -> tuple[int | None, ...]:
    """Return the values of the columns `_FACTS`."""
    place = (None, None) if entry.place is None else entry.place
    return entry.source_digest, entry.columns_digest, *place


@dataclass(frozen=True, slots=True)
class _Found:
    """The records of a part that take new values.

    Attributes:
        keep: `[n]`, True for these records, of all in the part.
        numbers: `[m]`, the number of each in `NewValues`.
    """

    part: Part
    keep: npt.NDArray[np.bool_]
    numbers: npt.NDArray[np.int64]


def renewed_records(
    storage: Storage, values: NewValues, created_at: datetime, this_run: pa.Schema
) -> Iterator[tuple[list[pa.RecordBatch], pa.Schema]]:
    """Yield the records that take new values, those of one part at a time, with their schema.

    Only ids, times and states of the other records are read.

    Args:
        storage: the output folder.
        values: the new values.
        created_at: the time of the new records.
        this_run: the schema of the records of this run.

    Raises:
        LedgerError: a part is damaged.
        PartVanishedError: another process is compacting.
        StorageError: a part cannot be read.
    """
    for found in _winning(storage, values.keys()):
        fixed = open_part(storage, found.part).schema_arrow
        kept = [f for f in fixed if f.name in RECORD_NAMES or is_of_run(f)]
        origins = [(found.part.path, pa.schema(kept)), ("this run", this_run)]
        schema = unified_schema(storage, origins)
        names = [field.name for field in kept]
        start = 0
        batches = []
        for batch in kept_batches(storage, found.part, found.keep, names, _BATCH_ROWS):
            if batch.num_rows:
                numbers = found.numbers[start : start + batch.num_rows]
                batches.append(_renewed(batch, values.take(numbers), created_at, schema))
                start += batch.num_rows
        yield batches, schema


def _renewed(
    batch: pa.RecordBatch, new: pa.RecordBatch, created_at: datetime, schema: pa.Schema
) -> pa.RecordBatch:
    batch = conformed(batch, schema)
    columns = dict(zip(schema.names, batch.columns, strict=True))
    columns.update(zip(new.schema.names, new.columns, strict=True))
    time = schema.field("created_at").type
    columns["created_at"] = pa.repeat(pa.scalar(created_at, time), len(batch))
    arrays = [_typed(columns[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else column.cast(kind)


def _winning(storage: Storage, keys: SortedKeys) -> Iterator[_Found]:
    """Yield the winning records with these keys, part by part; the rule is that of `dedup`."""
    parts = list_parts(storage)
    columns = [Column(kind) for kind in (np.int64, np.int64, np.bool_, np.int32, np.int32)]
    num_rows = []
    for number, part in enumerate(parts):
        file = open_part(storage, part)
        with readable(storage, part):
            table = file.read(columns=["id", "created_at", "status"], use_threads=False)
        num_rows.append(table.num_rows)
        at = keys.find(*_halves(table["id"]))
        rows = np.flatnonzero(at >= 0)
        picked = table.take(pa.array(rows))
        is_completed = np.asarray(pa.compute.equal(picked["status"], "completed"))
        times = picked["created_at"].cast(pa.int64()).to_numpy()
        values = (at[rows], times, is_completed, np.full(len(rows), number), rows)
        for column, more in zip(columns, values, strict=True):
            column.extend(more)
    at, times, completed, part_of, row_of = (column.values for column in columns)
    order = np.lexsort((row_of, part_of, completed, times, at))
    last = np.ones(len(order), bool)
    last[:-1] = at[order[1:]] != at[order[:-1]]
    wins = np.sort(order[last])
    for number in np.unique(part_of[wins]).tolist():
        own = wins[part_of[wins] == number]
        keep = np.zeros(num_rows[number], bool)
        keep[row_of[own]] = True
        yield _Found(parts[number], keep, keys.payload[at[own]])


def _halves(ids: pa.ChunkedArray) -> tuple[UInt64, UInt64]:
    texts: Sequence[bytes] = ids.cast(pa.binary()).to_pylist()
    return halves_of(row_keys(texts))
