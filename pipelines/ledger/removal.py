"""Removes records for good, and finds their images first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from pipelines.errors import LedgerError
from pipelines.keys.index import SortedKeys, halves_of, row_keys
from pipelines.ledger.compaction import compact_parts
from pipelines.ledger.left_out import LeftOut
from pipelines.ledger.part_checks import check_lists
from pipelines.ledger.part_writer import PartWriter
from pipelines.ledger.parts import PartVanishedError, list_parts, open_part, readable
from pipelines.ledger.scan import scan_ledger
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
    scan = scan_ledger(storage, LeftOut(keys, int(_LAST_US)))
    try:
        compact_parts(storage, replace(scan, wins=scan.counting), writer)
    except PartVanishedError as error:
        raise _vanished(storage, error) from error


def _vanished(storage: Storage, error: PartVanishedError) -> LedgerError:
    reason = "another process changes the records; let it finish, then run the same command again"
    return LedgerError(storage.uri(str(error)), reason)
