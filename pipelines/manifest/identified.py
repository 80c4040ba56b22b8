"""The ids of rows as they are read: given, or made from the content of the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.editions import Place
from pipelines.fields.cells import identifier
from pipelines.manifest.row_identity import content_hash
from pipelines.manifest.row_ids import RowIds
from pipelines.manifest.row_parser import OversizedRow, RawRow, UnreadableRow
from pipelines.manifest.same_rows import same_rows_hash
from pipelines.manifest.table import SourceRow
from uso_core.errors import InvalidRequestError


class IdentifiedRow(NamedTuple):
    """A row as written, and the id that it has by itself, before repeats are told apart."""

    cells: RawRow | UnreadableRow | OversizedRow
    extra: dict[str, Any]
    source_digest: int | None
    columns_digest: int
    row_id: str
    given: bool
    error: InvalidRequestError | None
    place: Place | None


def with_recorded_ids(rows: list[IdentifiedRow], ids: RowIds) -> list[IdentifiedRow]:
    """Let rows keep the ids with which version 0.1.0 recorded them: text was not its number."""
    old: dict[int, str] = {}
    for place, row in enumerate(rows):
        cells = _own_cells(row.cells)
        if not row.given and not isinstance(cells, UnreadableRow):
            old[place] = content_hash(cells)
    old = {place: row_id for place, row_id in old.items() if row_id != rows[place].row_id}
    found = zip(old.items(), ids.recorded(list(old.values())), strict=True)
    kept = {place: row_id for (place, row_id), is_recorded in found if is_recorded}
    return [
        row._replace(row_id=kept[place]) if place in kept else row for place, row in enumerate(rows)
    ]


def _own_cells(cells: RawRow | OversizedRow | UnreadableRow) -> RawRow | UnreadableRow:
    return cells.cells if isinstance(cells, OversizedRow) else cells


def places_of(rows: npt.NDArray[np.int64], first: Place | None) -> list[Place | None]:
    """Return the places of some rows of a batch, `[n]`; None for each if the batch has none.

    Args:
        rows: the numbers of the rows in the batch, `[n]`.
        first: the place of the first row of the batch.
    """
    if first is None:
        return [None] * len(rows)
    return [Place(first.edition, first.row + row) for row in rows.tolist()]


def identified_rows(
    rows: list[SourceRow],
    own: list[int],
    digests: list[int] | None = None,
    places: list[Place | None] | None = None,
    *,
    by_value: bool,
) -> list[IdentifiedRow]:
    """Find the ids of rows.

    Args:
        rows: the rows as written, `[n]`.
        own: the digests of their pass-through columns, `[n]`.
        digests: their source digests, `[n]`; 0, or None for all: there is none.
        places: their places in the manifest, `[n]`; they count for a row with a digest.
        by_value: True if text that spells a number is the number, which it is not in JSON.
    """
    nothing = [None] * len(rows)
    values = zip(rows, digests or nothing, own, places or nothing, strict=True)
    content = same_rows_hash if by_value else content_hash
    return [
        _identified(row, digest or None, one, place if digest else None, content)
        for row, digest, one, place in values
    ]


def _identified(
    row: SourceRow,
    digest: int | None,
    columns_digest: int,
    place: Place | None,
    content: Callable[[Mapping[str, Any]], str],
) -> IdentifiedRow:
    cells, extra = row
    given, error = False, None
    own = _own_cells(cells)
    if isinstance(own, UnreadableRow):
        row_id = content_hash(own.line)
    elif own.get("id") is None:
        row_id = content(own)
    else:
        try:
            row_id, given = identifier(own["id"]), True
        except InvalidRequestError as refused:
            row_id, error = content(own), refused
    return IdentifiedRow(cells, extra, digest, columns_digest, row_id, given, error, place)
