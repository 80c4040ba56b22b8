"""The ids that a table gives to its rows, as text: the same ids that a run of the table has."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipelines.errors import ComposeError
from pipelines.fields.cells import identifier
from pipelines.manifest.arrow_batch import id_cells
from uso_core.errors import InvalidRequestError

_NUMBERS = (pa.types.is_floating, pa.types.is_decimal)


def differ_as_text(kind: pa.DataType) -> bool:
    """Return True if Arrow's text of ids of this type differs from the ids of a run."""
    return isinstance(kind, pa.UuidType) or any(is_kind(kind) for is_kind in _NUMBERS)


def ids_as_text(uri: str, name: str, column: pa.Array) -> pa.Array:
    """Return ids as text.

    Raises:
        ComposeError: a number among them is not an integer, or is rounded.
    """
    return pa.array([id_text(uri, name, cell) for cell in id_cells(column)], pa.string())


def id_text(uri: str, name: str, cell: Any) -> str | None:  # noqa: ANN401 (whatever a cell holds)
    """Return an id as text; text, and what a run would reject, is returned as it is.

    Raises:
        ComposeError: the id is a floating-point number that is not an integer, or is rounded.
    """
    if cell is None:
        return None
    try:
        return identifier(cell)
    except InvalidRequestError as error:
        if isinstance(cell, str | int | list | dict):
            return str(cell)
        shown = f"{error.value!r} is not accepted; give {error.accepted}"
        raise ComposeError(f"{uri}: column {name!r}: {shown}") from error
