"""Reads a few columns of all records, part by part, with threads that read ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from pipelines.in_order import in_order
from pipelines.ledger.part_checks import check_values
from pipelines.ledger.parts import Part, open_part, readable
from pipelines.storage.storage import Storage

_READERS = 8
_MAX_AHEAD = 16  # parts read but not yet processed
_MAX_AHEAD_BYTES = 16 * 2**20  # size of those parts: bounds the memory


class PartColumns(NamedTuple):
    """Some columns of a part; a column that it lacks is left out.

    Attributes:
        uri: the part, for messages.
        schema: all its columns.
        columns: the columns that were asked for.
    """

    uri: str
    schema: pa.Schema
    columns: pa.RecordBatch


def read_ahead(
    storage: Storage, parts: Sequence[Part], columns: Sequence[str]
) -> Iterator[PartColumns]:
    """Yield columns of each part, in order; threads read ahead to hide the storage's latency.

    Args:
        storage: the output folder.
        parts: the parts.
        columns: the names of the columns.

    Raises:
        PartVanishedError: a part no longer exists.
        LedgerError: a part is damaged, or is not a file of records.
    """
    return in_order(
        lambda part: _read(storage, part, columns),
        parts,
        _READERS,
        cost=lambda part: max(part.num_bytes, _MAX_AHEAD_BYTES // _MAX_AHEAD),
        budget=_MAX_AHEAD_BYTES,
    )


def _read(storage: Storage, part: Part, names: Sequence[str]) -> PartColumns:
    file = open_part(storage, part)
    with readable(storage, part):
        table = file.read(columns=list(names), use_threads=False)
    columns = [table[name].combine_chunks() for name in table.column_names]
    batch = pa.RecordBatch.from_arrays(columns, table.column_names)
    uri = storage.uri(part.path)
    check_values(uri, batch)
    return PartColumns(uri, file.schema_arrow, batch)
