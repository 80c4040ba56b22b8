"""The id of a row without one, which does not depend on the storage of its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pipelines.fields.field import Field
from pipelines.fields.kinds import (
    BOOLEAN,
    INTEGER,
    LARGE_INTEGER,
    NUMBER,
    NUMBERS,
    REFERENCES,
)
from pipelines.fields.table import FIELDS
from pipelines.manifest.row_identity import content_hash
from uso_core.errors import InvalidRequestError

_FIELDS = {field.name: field for field in FIELDS}


def same_rows_hash(raw: Mapping[str, Any]) -> str:
    """Return the `content_hash` of a row in the usual types of its columns.

    Text that spells a number, a flag or a list, and decimals, have the hash of the value. Rows with
    usual types keep their `content_hash`, which was the id of every row in version 0.1.0.

    Args:
        raw: the cells by our column names.
    """
    return content_hash({name: _value(name, cell) for name, cell in raw.items()})


def _value(name: str, cell: Any) -> Any:  # noqa: ANN401 (whatever a cell holds)
    """Return the value of a cell of an unusual type; other cells, and invalid ones, unchanged."""
    field = _FIELDS.get(name)
    if field is None or not _is_unusual(field, cell):
        return cell
    try:
        return field.kind.read(name, cell)
    except InvalidRequestError:
        return cell


def _is_unusual(field: Field, cell: Any) -> bool:  # noqa: ANN401 (whatever a cell holds)
    if field.kind in (INTEGER, LARGE_INTEGER, NUMBER):
        return isinstance(cell, str | Decimal)
    if field.kind is NUMBERS:
        items = cell if isinstance(cell, list) else [cell]
        return isinstance(cell, str) or any(isinstance(item, str | Decimal) for item in items)
    if field.kind is BOOLEAN:
        return isinstance(cell, str)
    return field.kind is REFERENCES and isinstance(cell, str) and cell.lstrip().startswith("[")
