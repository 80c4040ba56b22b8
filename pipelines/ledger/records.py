"""All records of an output at one moment; needs neither a cluster nor a driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import LedgerError
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.look import Look, look_at, look_in
from pipelines.ledger.parts import (
    FOLDER,
    PartVanishedError,
    conformed,
    kept_batches,
    list_parts,
    unified_schema,
    unless_vanished,
)
from pipelines.ledger.scan import SCANNED
from pipelines.storage.storage import Storage


class Records:
    """The records that counted when this object was created, one per id; see `left_out`.

    Attributes:
        schema: common schema: first the fixed columns, then the user's own.
        written: names of the columns that some part has; older versions wrote fewer.
    """

    def __init__(self, storage: Storage, look: Look | None = None) -> None:
        """Look at all parts, unless a look is given.

        Raises:
            LedgerError: a part is damaged, or a column has two types.
            StorageError: the records cannot be read.
        """
        self._storage = storage
        self._look = look_at(storage, SCANNED) if look is None else look
        self.schema = unified_schema(storage, self._look.origins)
        self.written = self._look.written

    def counts(self) -> LedgerCounts:
        """Return the numbers of records, by outcome."""
        return self._look.counts

    def batches(
        self, columns: Sequence[str] | None = None, *, batch_rows: int = 8192
    ) -> Iterator[pa.RecordBatch]:
        """Yield the records in batches; the same records at each call.

        Args:
            columns: columns to read, in this order; None: all.
            batch_rows: maximum rows per batch.

        Raises:
            LedgerError: a column does not exist, or a run has compacted the records since.
            StorageError: the records cannot be read.
        """
        schema = self.schema if columns is None else self._with_columns(columns)
        try:
            for part, keep in self._look.by_part():
                for batch in kept_batches(self._storage, part, keep, columns, batch_rows):
                    if batch.num_rows:
                        yield conformed(batch, schema)
        except PartVanishedError as error:
            reason = "compacted by a run while it was read; read the records again"
            raise LedgerError(self._storage.uri(str(error)), reason) from error

    def _with_columns(self, columns: Sequence[str]) -> pa.Schema:
        missing = [name for name in columns if name not in self.schema.names]
        if missing:
            reason = f"no column {missing[0]!r}; there are {', '.join(self.schema.names)}"
            raise LedgerError(self._storage.uri(FOLDER), reason)
        return pa.schema([self.schema.field(name) for name in columns])


def all_records(storage: Storage) -> Records:
    """Return the records of now, one per id, also the ones that do not count."""
    return Records(storage, unless_vanished(storage, lambda: look_in(storage, list_parts(storage))))


def completed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the completed records of a batch."""
    return batch.filter(pc.equal(batch["status"], "completed"))


def iter_records(
    storage: Storage, columns: Sequence[str] | None = None, *, batch_rows: int = 8192
) -> Iterator[pa.RecordBatch]:
    """Yield all counting records in batches, one per id; needs neither a cluster nor a driver.

    Args:
        storage: the output folder.
        columns: columns to read, in this order; None: all.
        batch_rows: maximum rows per batch.

    Raises:
        LedgerError: a part is damaged, a column does not exist, or a run has compacted the records
            in the meantime.
        StorageError: the records cannot be read.
    """
    yield from Records(storage).batches(columns, batch_rows=batch_rows)


def count_records(storage: Storage) -> LedgerCounts:
    """Count the recorded rows, one record per id; needs neither a cluster nor a driver.

    Raises:
        LedgerError: a part is damaged.
        StorageError: the records cannot be read.
    """
    return look_at(storage).counts
