"""The ledger: one record per row, in Parquet parts that are written whole and never changed.

A row is done if and only if its record exists. Every part is one atomic write; nothing here needs
a rename, an append or a lock in the store. `pipelines.ledger.dedup` resolves several records of an
id; `pipelines.ledger.compaction` keeps the parts few.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pyarrow as pa

from pipelines.arrow_types.stored import recorded_schema
from pipelines.editions import Edition
from pipelines.errors import LedgerError
from pipelines.keys.index import SortedKeys
from pipelines.ledger.counts import FailureExample, LedgerCounts
from pipelines.ledger.done_index import DoneIndex
from pipelines.ledger.done_rows import DoneRows
from pipelines.ledger.fence import fence_off, widen_fences
from pipelines.ledger.leave_out import leave_out
from pipelines.ledger.left_out import ManifestLook
from pipelines.ledger.look import Look
from pipelines.ledger.new_records import newer_records, record_table
from pipelines.ledger.new_values import NewValues, renewed_records
from pipelines.ledger.owned_parts import OwnedParts
from pipelines.ledger.parts import FOLDER, unified_schema
from pipelines.ledger.records import Records, count_records, iter_records
from pipelines.ledger.removal import remove_records
from pipelines.ledger.row_state import Mark, Recorded
from pipelines.ledger.scan import Scan, scan_ledger, with_doubts
from pipelines.storage.storage import Storage

__all__ = ["FailureExample", "Ledger", "LedgerCounts", "LedgerError", "Recorded"]
__all__ += ["count_records", "iter_records"]

_MAX_SMALL_PARTS = 128
_EPOCH = datetime.fromtimestamp(0, timezone.utc)


class Ledger:
    """The records of one output, as its only driver sees them; thread-safe."""

    def __init__(self, storage: Storage, schema: pa.Schema, scan: Scan, run_id: str) -> None:
        """Use `open`."""
        self._storage = storage
        self._schema = recorded_schema(schema)
        self._index = DoneIndex(scan, partial(with_doubts, storage))
        self._scan: Scan | None = scan
        self._latest_us = scan.latest_us
        self._look = scan.look
        self._next_stamp = _EPOCH + timedelta(microseconds=scan.latest_us + 1)
        self._parts = OwnedParts(storage, scan, run_id)
        self._count_lock = threading.Lock()
        self._write_lock = threading.Lock()

    @classmethod
    def open(
        cls,
        storage: Storage,
        schema: pa.Schema,
        run_id: str | None = None,
        *,
        taken_from: str | None = None,
        editions: Sequence[Edition] = (),
        retry_failed: bool = False,
    ) -> Ledger:
        """Read the existing records; leftovers of a killed writer are removed.

        Args:
            storage: the output folder.
            schema: schema of the records to append.
            run_id: the run, which gives the new parts their names; None: a random one.
            taken_from: a run that may still be alive, though its lease was taken: none of its
                commits land after this call, if the store has conditional writes.
            editions: the editions of the manifest that `done_rows` is for, so that groups of its
                rows that are done can be left unread.
            retry_failed: see `done_rows`; needed with `editions`.

        Raises:
            LedgerError: a part is damaged, `records/` holds a foreign file, or a column has another
                type.
            StorageError: the records cannot be read.
        """
        storage.remove_leftovers(FOLDER)
        if taken_from is not None:
            fence_off(storage, taken_from, schema)
        scan = scan_ledger(storage, None, editions, retry_failed=retry_failed)
        unified = unified_schema(storage, [*scan.origins, ("this run", schema)])
        if any(not known.equals(unified) for _, known in scan.origins):
            sized = zip(scan.parts, scan.num_rows, strict=True)
            widen_fences(storage, [part for part, rows in sized if rows == 0], unified)
        return cls(storage, schema, scan, run_id or secrets.token_hex(8))

    @classmethod
    def view(
        cls,
        storage: Storage,
        schema: pa.Schema,
        editions: Sequence[Edition] = (),
        *,
        retry_failed: bool = False,
    ) -> Ledger:
        """Open the ledger read-only: nothing is removed, and a run may be writing to it."""
        scan = scan_ledger(storage, None, editions, retry_failed=retry_failed)
        return cls(storage, schema, scan, secrets.token_hex(8))

    def lookup(self, row_ids: Sequence[str]) -> list[Recorded | None]:
        """Return each row's record when the ledger was opened; None if it had none.

        Notes that the manifest has these rows, see `leave_out`.
        """
        return self._index.lookup(row_ids)

    def done_rows(self, *, retry_failed: bool) -> DoneRows:
        """Begin a pass over the manifest: return the rows to skip in it, see `DoneRows`."""
        return self._index.done_rows(retry_failed=retry_failed)

    def mark(self, row_ids: Sequence[str], mark: Mark) -> None:
        """Mark rows on record, so that `done_rows` does not skip them; see `Recorded.mark`."""
        self._index.mark(row_ids, mark)

    def opening_records(self) -> Records:
        """Return all records as they were when the ledger was opened, without a second scan.

        Records that did not count are among them: their rows may be in the manifest again. Valid
        until the first `append` or compaction.
        """
        assert self._scan is not None
        return Records(self._storage, Look.of(self._scan))

    def stamp(self) -> datetime:
        """Return the time for a new record: later than any record that it may replace.

        An earlier run may have used a clock that was ahead of this one.
        """
        return max(datetime.now(timezone.utc), self._next_stamp)

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Commit records, which match the schema, as one part: all or nothing.

        Args:
            records: one per row, none appended since the ledger was opened; see also `replace`.

        Raises:
            LeaseLostError: another driver has taken over; nothing has changed.
            StorageError: the part cannot be written; nothing has changed.
        """
        if records:
            batches = record_table(records, self._schema).to_batches()
            with self._write_lock:
                self._write(batches, self._schema)
                with self._count_lock:
                    self._parts.superseded |= self._index.add(batches[0])

    def replace(self, records: Sequence[Mapping[str, Any] | pa.RecordBatch]) -> None:
        """Commit newer records of completed rows; see `newer_records`, and errors of `append`."""
        if records:
            with self._write_lock:
                self._write(*newer_records(self._storage, records, self._schema))
                self._parts.superseded = True

    def take_new_values(self, values: NewValues) -> int:
        """Write the records of these rows again, with their new values; errors as in `compact`."""
        count, stamp = 0, self.stamp()
        with self._write_lock:
            for batches, schema in renewed_records(self._storage, values, stamp, self._schema):
                count += self._write(batches, schema)
            self._parts.superseded |= count > 0
        return count

    def _write(self, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> int:
        """Write a part, and return its number of rows."""
        self._scan = None
        return self._parts.write(batches, schema)

    def leave_out(self, look: ManifestLook, *, whole: bool) -> None:
        """Count only the records whose rows are in the manifest, here and for all readers.

        Call it after a pass: `done_rows`, and `lookup` of each row that the pass did not skip.

        Args:
            look: facts about the pass.
            whole: True if it has read the whole manifest. A pass over a part of it brings records
                back, but leaves out no other ones; so does a manifest without rows.

        Raises:
            LedgerError, StorageError: the list of these records cannot be read or written.
        """
        with self._write_lock, self._count_lock:
            keys = self._index.leave_out(whole=whole)
            leave_out(self._storage, keys, self._latest_us, look)
            self._look = look

    def unmet(self) -> SortedKeys:
        """Return the keys of the records that a pass over the whole manifest has not met."""
        return self._index.leave_out(whole=True)

    def remove(self, keys: SortedKeys) -> None:
        """Remove all records of the rows with these keys; see `remove_records`."""
        with self._write_lock:
            remove_records(self._storage, keys, self._parts.writer)

    def forget_rows(self) -> None:
        """Free the memory for single rows: from now on, rows can be neither looked up nor appended.

        Packing and compacting read all records again, see `look_at` for their memory.
        """
        self._index.forget_rows()
        self._scan = None

    def counts(self) -> LedgerCounts:
        """Return the numbers of recorded rows, including earlier runs, and of those left out."""
        with self._count_lock:
            return self._index.counts(self._look)

    @property
    def needs_compaction(self) -> bool:
        """True if there are enough small parts for `compact_small` to be worth it."""
        return self._parts.num_small > _MAX_SMALL_PARTS

    def compact_small(self) -> None:
        """Merge the small parts: cheap for any ledger. Raises the same errors as `compact`."""
        with self._write_lock:
            self._parts.compact_small()

    def compact(self) -> None:
        """Leave exactly one record per id, in few parts.

        Safe to interrupt at any point; the next compaction resumes.

        Raises:
            LeaseLostError: another driver has taken over.
            LedgerError: a part is damaged.
            StorageError: a part cannot be written or deleted.
        """
        with self._write_lock:
            self._parts.compact()

    def verify(self) -> None:
        """Check that every committed record is still in the store, and write lost ones again.

        Costs one listing; all records are read again only if a part is missing whose content this
        run has not kept.

        Raises:
            LeaseLostError: another driver has taken over.
            LedgerError: records are gone, though the store had acknowledged them.
            StorageError: the records cannot be listed, read or written.
        """
        with self._write_lock:
            gone = self._parts.restore()
        if not gone:
            return
        lost = self.counts().records - count_records(self._storage).records
        if lost > 0:
            parts = ", ".join(path.removeprefix(f"{FOLDER}/") for path in gone)
            raise LedgerError(
                self._storage.uri(FOLDER),
                f"{lost:,} records are gone, though the store had acknowledged them, with {parts}; "
                "check the store and rerun the same command: it generates their rows again",
            )
