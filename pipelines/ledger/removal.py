"""Removes records for good, and finds their images first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.errors import LedgerError
from pipelines.keys.column import Column
from pipelines.keys.index import SortedKeys, UInt64, halves_of, row_keys
from pipelines.keys.quick import quick_hashes
from pipelines.ledger.compaction import compact_parts
from pipelines.ledger.left_out import LeftOut
from pipelines.ledger.look import look_in
from pipelines.ledger.part_checks import check_lists
from pipelines.ledger.part_columns import read_ahead
from pipelines.ledger.part_writer import PartWriter
from pipelines.ledger.parts import Part, PartVanishedError, list_parts, open_part, readable
from pipelines.storage.storage import Storage

_COLUMNS = ["id", "status", "outputs"]
_BATCH_ROWS = 8192
_LAST_US = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class OldRecord:
    """One record of a row. A row may have several, see `dedup`.

    Attributes:
        row_id: id of the row.
        status: `completed` or `failed`.
        outputs: URIs of its images.
    """

    row_id: str
    status: str
    outputs: tuple[str, ...]


def records_of(storage: Storage, keys: SortedKeys) -> Iterator[OldRecord]:
    """Yield all records of the rows with these keys, including superseded ones.

    Raises:
        LedgerError: a part is damaged, or another process compacts.
        StorageError: a part cannot be read.
    """
    try:
        for part in list_parts(storage):
            file = open_part(storage, part)
            batches = file.iter_batches(_BATCH_ROWS, columns=_COLUMNS, use_threads=False)
            while True:
                with readable(storage, part):
                    batch = next(batches, None)
                if batch is None:
                    break
                check_lists(storage.uri(part.path), batch)
                yield from _among(batch, keys)
    except PartVanishedError as error:
        raise _vanished(storage, error) from error


def _among(batch: pa.RecordBatch, keys: SortedKeys) -> Iterator[OldRecord]:
    found = keys.find(*halves_of(row_keys(batch["id"].cast(pa.binary()).to_pylist())))
    for row in batch.filter(pa.array(found >= 0)).to_pylist():
        yield OldRecord(row["id"], row["status"], tuple(row["outputs"] or ()))


def remove_records(storage: Storage, keys: SortedKeys, writer: PartWriter) -> None:
    """Remove all records of the rows with these keys; the caller holds the lease.

    A part is deleted only after its replacement has been written and read back. If this is
    interrupted, some of the records are still there.

    Raises:
        LeaseLostError: another driver has taken over.
        LedgerError: a part is damaged, or another process compacts.
        StorageError: a part cannot be read, written or deleted.
    """
    try:
        parts = list_parts(storage)
        doomed = LeftOut(keys, int(_LAST_US), hashes=_hashes_of(storage, parts, keys))
        compact_parts(storage, look_in(storage, parts, listed=doomed), writer)
    except PartVanishedError as error:
        raise _vanished(storage, error) from error


def _hashes_of(storage: Storage, parts: Sequence[Part], keys: SortedKeys) -> UInt64:
    """Return the quick hashes of the ids with these keys."""
    found = Column(np.uint64)
    for read in read_ahead(storage, parts, ["id"]):
        ids = read.columns["id"]
        at = keys.find(*halves_of(row_keys(ids.cast(pa.binary()).to_pylist())))
        found.extend(quick_hashes(ids.filter(pa.array(at >= 0))))
    return found.values


def _vanished(storage: Storage, error: PartVanishedError) -> LedgerError:
    reason = "another process changes the records; let it finish, then run the same command again"
    return LedgerError(storage.uri(str(error)), reason)
