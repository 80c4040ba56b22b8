"""Brings the list of records that do not count up to date."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pipelines.errors import LedgerError
from pipelines.keys.index import SortedKeys, halves_of, row_keys
from pipelines.ledger.left_out import (
    LEFT_OUT_PATH,
    ManifestLook,
    listed_ids,
    read_left_out,
    write_left_out,
)
from pipelines.ledger.parts import PartVanishedError, list_parts, open_part, readable
from pipelines.storage.storage import Storage


def leave_out(storage: Storage, keys: SortedKeys, until_us: int, look: ManifestLook) -> None:
    """Make the records with these keys the ones that do not count.

    The parts are read for their ids only if a record is left out that was not before.

    Args:
        storage: the output folder.
        keys: keys of the records.
        until_us: time of their latest record, see `LeftOut`.
        look: the pass over the manifest that they follow from.

    Raises:
        LedgerError: the old list or a part is damaged.
        StorageError: a file cannot be read or written.
    """
    old = read_left_out(storage)
    if not len(keys):
        if old.look is not None:
            storage.delete(LEFT_OUT_PATH)
        return
    is_listed = old.keys.find(keys.high, keys.low) >= 0
    ids = listed_ids(storage) if is_listed.all() else _recorded_ids(storage)
    write_left_out(storage, _among(ids, keys), until_us, look)


def _among(ids: Iterator[pa.Array], keys: SortedKeys) -> Iterator[pa.Array]:
    """Yield the ids with these keys, each once."""
    found = np.zeros(len(keys), bool)
    for some in ids:
        at = keys.find(*halves_of(row_keys(some.cast(pa.binary()).to_pylist())))
        rows = np.flatnonzero(at >= 0)
        _, first = np.unique(at[rows], return_index=True)
        rows = np.sort(rows[first])
        rows = rows[~found[at[rows]]]
        found[at[rows]] = True
        if len(rows):
            yield some.take(pa.array(rows))


def _recorded_ids(storage: Storage) -> Iterator[pa.Array]:
    try:
        for part in list_parts(storage):
            file = open_part(storage, part)
            with readable(storage, part):
                table = file.read(columns=["id"], use_threads=False)
            yield from table["id"].chunks
    except PartVanishedError as error:
        reason = "this part vanished while it was read; do not remove records during a run"
        raise LedgerError(storage.uri(str(error)), reason) from error
