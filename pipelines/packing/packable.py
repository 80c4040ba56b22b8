"""The rows of an output to pack: the completed ones, without those whose images are lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from pipelines.keys.index import KEY_BYTES, halves_of, row_key, row_keys
from pipelines.keys.key_set import KeySet
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.records import Records, completed
from pipelines.manifest.chosen_ids import ChosenIds
from pipelines.record import LIBRARY_STYLES, MODEL_LICENCE, REFERENCE_RIGHTS

_OPTIONAL = frozenset({MODEL_LICENCE, REFERENCE_RIGHTS, LIBRARY_STYLES})


class PackableRecords:
    """The records of an output from which a dataset follows.

    Attributes:
        schema: the columns of the records; licences and styles of a library only if some version
            has recorded them, so that the shards of an old output keep their bytes.
    """

    def __init__(self, records: Records, chosen: ChosenIds | None = None) -> None:
        """Take all completed rows, or those of them that are chosen; see `leave_out`."""
        self._records = records
        self._chosen = chosen
        self._left_out = KeySet()
        self.schema = pa.schema(
            [f for f in records.schema if f.name not in _OPTIONAL or f.name in records.written]
        )

    def leave_out(self, row_ids: Iterable[str]) -> None:
        """Pack the dataset without these rows; takes no memory for them, see `KeySet`."""
        self._left_out.add([row_key(row_id) for row_id in row_ids])

    def counts(self) -> LedgerCounts:
        """Return the numbers of all records, by outcome."""
        return self._records.counts()

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield all records in batches, by default with the columns of `schema`; see `of`."""
        return self._records.batches(self.schema.names if columns is None else columns)

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of a batch to pack; it has the columns `id` and `status`."""
        rows = completed(batch)
        if not len(self._left_out) and self._chosen is None:
            return rows
        keys = row_keys(rows["id"].cast(pa.binary()).to_pylist())
        if self._chosen is not None:
            wanted = self._chosen.has(*halves_of(keys))
            rows = rows.filter(pa.array(wanted))
            keys = b"".join(
                key for key, is_wanted in zip(_each(keys), wanted, strict=True) if is_wanted
            )
        if not len(self._left_out):
            return rows
        return rows.filter(pa.array(~self._left_out.has(_each(keys))))

    def check_chosen(self, place: str) -> None:
        """Raise `ManifestError` if a chosen id has no completed row; the message names it."""
        if self._chosen is None:
            return
        known: set[str] = set()
        for batch in self._records.batches(("id", "status")):
            known.update(self._chosen.ids.intersection(completed(batch)["id"].to_pylist()))
        self._chosen.check_known(known, f"the completed rows of {place}")


def _each(keys: bytes) -> list[bytes]:
    return [keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)]
