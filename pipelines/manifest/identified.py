"""The ids of rows as they are read: given, or made from the content of the row."""

from __future__ import annotations

from typing import Any, NamedTuple

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


def identified(
    row: SourceRow, digest: int | None, columns_digest: int, *, by_value: bool
) -> IdentifiedRow:
    """Find the id of a row.

    Args:
        row: the row as written.
        digest: its source digest; None if it has none.
        columns_digest: the digest of its pass-through columns.
        by_value: True if text that spells a number is the number, which it is not in JSON.
    """
    content = same_rows_hash if by_value else content_hash
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
    return IdentifiedRow(cells, extra, digest, columns_digest, row_id, given, error)
