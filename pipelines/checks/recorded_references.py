"""The references of records with their recorded versions, in large batches without Python loops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.records import Records
from pipelines.record import REFERENCE_VERSIONS

_COLUMNS = ("id", "content_image", "style_images", REFERENCE_VERSIONS)
_AT_ONCE = 1 << 17  # references: about 50 MB, and long enough for listings to pay

Ints = npt.NDArray[np.int64]


class Recorded(NamedTuple):
    """One reference as a record has it; see `ReferenceVersion`."""

    uri: str
    stat: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class RecordedReferences:
    """The references of some records.

    Attributes:
        row_ids: the ids of the records.
        distinct: the references, each with each of its recorded versions once.
        rows: `[n]`, for each reference of each record, the number of the record.
        places: `[n]`, and its number in `distinct`.
    """

    row_ids: pa.Array
    distinct: Sequence[Recorded]
    rows: Ints
    places: Ints

    def rows_with(self, chosen: Sequence[bool]) -> list[str]:
        """Return the ids of the records that have one of the chosen of `distinct`."""
        found = np.unique(self.rows[np.array(chosen, bool)[self.places]])
        ids: list[str] = self.row_ids.take(pa.array(found)).to_pylist()
        return ids


def recorded_references(records: Records) -> Iterator[RecordedReferences]:
    """Yield the references of all records, about `_AT_ONCE` at a time.

    Raises:
        LedgerError, StorageError: the records cannot be read.
    """
    batches: list[pa.RecordBatch] = []
    waiting = 0
    for batch in records.batches(_COLUMNS):
        batches.append(batch)
        waiting += len(batch) + len(batch["style_images"].flatten())
        if waiting >= _AT_ONCE:
            yield _references(batches)
            batches, waiting = [], 0
    if batches:
        yield _references(batches)


def _references(batches: Sequence[pa.RecordBatch]) -> RecordedReferences:
    table = pa.Table.from_batches(batches).combine_chunks()
    content, styles, versions = (_joined(table[name]) for name in _COLUMNS[1:])
    has_content = np.asarray(content.is_valid(), np.int64)
    num_styles = _lengths(styles)
    # `flatten` leaves out the values of null lists, so starts follow from the lengths.
    num_versions = _lengths(versions)
    starts = np.cumsum(num_versions) - num_versions
    is_known = num_versions == has_content + num_styles
    with_content = np.flatnonzero(has_content)
    of_style = np.repeat(np.arange(len(table)), num_styles)
    place = np.arange(len(of_style)) - np.repeat(np.cumsum(num_styles) - num_styles, num_styles)
    rows = np.concatenate([with_content, of_style])
    at = np.concatenate([starts[with_content], starts[of_style] + has_content[of_style] + place])
    taken = pa.array(at, mask=~is_known[rows])
    uris = pa.concat_arrays([content.drop_null(), styles.flatten()])
    marks = versions.flatten()
    columns = [uris, *(pc.struct_field(marks, name).take(taken) for name in ("stat", "sha256"))]
    coded = [column.dictionary_encode("encode") for column in columns]
    codes = np.stack([np.asarray(column.indices, np.int64) for column in coded])
    _, first, places = np.unique(_joint(codes), return_index=True, return_inverse=True)
    chosen = pa.array(first)
    values = (column.take(chosen).to_pylist() for column in columns)
    distinct = [Recorded(*each) for each in zip(*values, strict=True)]
    return RecordedReferences(_joined(table["id"]), distinct, rows, places)


def _joint(codes: Ints) -> Ints:
    """Return one number for each column of `codes`, `[k, n]`, equal where the columns are."""
    joint: Ints = codes[0]
    for row in codes[1:]:
        joint = joint * (row.max(initial=0) + 1) + row
        joint = np.unique(joint, return_inverse=True)[1].astype(np.int64)
    return joint


def _lengths(lists: pa.Array) -> Ints:
    lengths: Ints = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), np.int64)
    return lengths


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
