"""Passes over the tables of a manifest."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ManifestError
from pipelines.fields.cells import identifier
from pipelines.keys.distinct import RepeatedHashes
from pipelines.keys.index import UInt64
from pipelines.keys.quick import quick_hashes
from pipelines.manifest.arrow_batch import id_cells
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.ordinary import OrdinaryRows, ordinary_ids
from pipelines.manifest.reference_columns import Flags
from pipelines.manifest.table import RowBatch, Table
from pipelines.rows import ManifestEntry
from pipelines.storage.urls import redact_uri
from uso_core.errors import InvalidRequestError

SURVEY_ROWS = 1 << 14
"""Rows per batch of a pass that makes no Python objects of them."""


# Ids that `RowIds.variant` may make of a repeated one, and those made from the content of a row.
_REPEAT = r"~\d+$"
_MADE = r"^[0-9a-f]{32}(-\d+)?$"


class SurveyedBatch(NamedTuple):
    """Some rows of the manifest, for a pass that counts them.

    Attributes:
        entries: the rows to look at, in order.
        num_skipped: the number of rows that are done.
        ordinary: the other rows, which are valid and on no record; None: there are none.
    """

    entries: list[ManifestEntry]
    num_skipped: int
    ordinary: OrdinaryRows | None


class TakenRows(NamedTuple):
    """Some rows of a table.

    Attributes:
        table: the table.
        number: the number of the table, from 0.
        first: the number of the first row in the table, from 0.
        num_rows: the number of rows.
        batch: the rows; None: they are left unread.
    """

    table: Table
    number: int
    first: int
    num_rows: int
    batch: RowBatch | None


def taken_rows(
    tables: Sequence[Table],
    plan: ColumnPlan,
    limit: int | None,
    most_rows: int | None = None,
    unread: Sequence[Flags | None] | None = None,
) -> Iterator[TakenRows]:
    """Yield the first rows of the tables in order.

    Args:
        tables: the files.
        plan: the use of their columns.
        limit: the number of rows; None: all.
        most_rows: see `Table.batches`.
        unread: for each table, True for each of its groups that is left unread; None: all are read.

    Raises:
        ManifestError: a file is gone, has changed since it was opened, or is damaged.
    """
    left = sys.maxsize if limit is None else limit
    for number, table in enumerate(tables):
        table.file.check_unchanged()
        left_unread = None if unread is None else unread[number]
        for rows in _rows_of(table, number, plan, most_rows, left_unread):
            yield rows if rows.num_rows <= left else _head(rows, left)
            left = max(left - rows.num_rows, 0)
            if left == 0:
                return
        table.file.check_unchanged()


def _rows_of(
    table: Table, number: int, plan: ColumnPlan, most_rows: int | None, unread: Flags | None
) -> Iterator[TakenRows]:
    """Yield all rows of a table."""
    if unread is None or not unread.any():
        yield from _read(table, number, plan, most_rows, None)
        return
    first = 0
    bounds = [0, *(np.flatnonzero(np.diff(unread)) + 1).tolist(), len(unread)]
    for start, stop in pairwise(bounds):
        count = sum(table.groups[start:stop])
        if unread[start]:
            yield TakenRows(table, number, first, count, None)
        else:
            yield from _read(table, number, plan, most_rows, range(start, stop))
        first += count


def _read(
    table: Table, number: int, plan: ColumnPlan, most_rows: int | None, groups: range | None
) -> Iterator[TakenRows]:
    first = 0 if groups is None else sum(table.groups[: groups.start])
    for batch in table.batches(plan, most_rows=most_rows, groups=groups):
        yield TakenRows(table, number, first, len(batch), batch)
        first += len(batch)


def _head(rows: TakenRows, count: int) -> TakenRows:
    batch = None if rows.batch is None else rows.batch.head(count)
    return rows._replace(num_rows=count, batch=batch)


def num_rows(tables: Sequence[Table], limit: int | None) -> int | None:
    """Return the number of rows, at most `limit`; None if only reading the tables would tell."""
    counts = [table.num_rows for table in tables]
    known = [count for count in counts if count is not None]
    if limit is not None and sum(known) >= limit:
        return limit
    return sum(known) if len(known) == len(counts) else None


def has_rows(table: Table, plan: ColumnPlan) -> bool:
    """Return True if a table has rows; one that does not know their number is read for it."""
    if table.num_rows is not None:
        return table.num_rows > 0
    return any(len(batch) for batch in table.batches(plan))


def no_rows(tables: Sequence[Table], paths: Sequence[str]) -> ManifestError:
    """Return the error for tables without rows, at these paths."""
    held = f"{len(tables)} files, none of which has rows" if len(tables) > 1 else "no rows"
    where = ", ".join(map(redact_uri, paths))
    return ManifestError(where, f"has {held}; a run needs at least one")


def named(tables: Sequence[Table], limit: int | None) -> str:
    """Return tables in words: the first two, the number of the others, and the limit of rows."""
    place = ", ".join(redact_uri(table.uri) for table in tables[:2])
    more = f" and {len(tables) - 2:,} more files" if len(tables) > 2 else ""
    first = "" if limit is None else f"the first {limit:,} rows of "
    return f"{first}{place}{more}"


class GivenIds(NamedTuple):
    """The ids of all rows of a manifest, as far as they decide which rows repeat an id.

    Attributes:
        repeated: `quick_hashes` of the ids that several rows have, sorted; two ids with the same
            hash may be among them.
    """

    repeated: UInt64

    def unique(self, column: pa.Array) -> Flags:
        """Return True for each id that certainly no other row has, `[n]`; for null, any flag."""
        if not len(self.repeated):
            return np.ones(len(column), bool)
        hashes = quick_hashes(column.cast(pa.string()))
        at = np.searchsorted(self.repeated, hashes).clip(max=len(self.repeated) - 1)
        return np.asarray(self.repeated[at] != hashes)


def given_ids(
    tables: Sequence[Table],
    name: str,
    limit: int | None,
    unread: Sequence[Flags | None] | None = None,
) -> GivenIds | None:
    """Read the column of the ids.

    Args:
        tables: the files.
        name: the column of the ids.
        limit: the number of rows; None: all.
        unread: see `taken_rows`; those rows are on record, so that others with their ids are read.

    Returns:
        None if a table has no columns, or if a row may have the id that a run makes for another
        one: then only a pass over whole rows tells the ids.

    Raises:
        ManifestError, StorageError: as in `Manifest.batches`.
    """
    plan = ColumnPlan({"id": name}, pa.schema([]), ())
    hashes, all_given, like_repeat, like_made = RepeatedHashes(), True, False, False
    taken = (rows.batch for rows in taken_rows(tables, plan, limit, SURVEY_ROWS, unread))
    for batch in filter(None, taken):
        if batch.columns is None:
            return None
        if name not in batch.columns.schema.names:
            all_given = False
            continue
        texts = _id_texts(batch.columns.column(name))
        all_given &= len(texts) == len(batch)
        if not len(texts):
            continue
        hashes.add(quick_hashes(texts))
        if _any_like(texts, f"{_REPEAT}|{_MADE}"):
            like_repeat |= _any_like(texts, _REPEAT)
            like_made |= _any_like(texts, _MADE)
    repeated = hashes.repeated()
    if (len(repeated) and like_repeat) or (like_made and not all_given):
        return None
    return GivenIds(repeated)


def _id_texts(column: pa.Array) -> pa.Array:
    """Return the cells that are ids as a run reads them, `[m]`, in any order."""
    given = ordinary_ids(column)
    if given.all():
        return column.cast(pa.string())
    # Another file may have the same ids in another type, such as floats beside integers.
    odd = column.filter(pa.array(~given)).drop_null()
    read: list[str] = []
    for cell in id_cells(odd):
        with suppress(InvalidRequestError):
            read.append(identifier(cell))
    others = pa.array(read, pa.string())
    if not given.any():
        return others
    return pa.concat_arrays([column.filter(pa.array(given)).cast(pa.string()), others])


def _any_like(texts: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, pattern)).as_py())
