"""Rows of JSON as Arrow columns, without an object of ours for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from pipelines.manifest.json_types import JsonTypes
from pipelines.manifest.row_parser import UnreadableRow
from pipelines.manifest.text_table import Line

_DOES_NOT_FIT = (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError)


def json_columns(
    lines: Sequence[Line], sources: Mapping[str, str], schema: pa.Schema
) -> pa.RecordBatch | None:
    """Return the rows of some lines.

    Args:
        lines: the lines.
        sources: the user's name of each column.
        schema: the columns; one without a source is null.

    Returns:
        The columns; None if a line is not a row, or an id is not text.
    """
    rows = [row for row, _ in lines if not isinstance(row, UnreadableRow)]
    if len(rows) < len(lines):
        return None
    columns = []
    for field in schema:
        source = sources.get(field.name)
        values = [None if source is None else row.get(source) for row in rows]
        if field.name == "id" and not all(value is None or type(value) is str for value in values):
            return None
        try:
            column = pa.array(values, field.type)
        except _DOES_NOT_FIT:
            column = pa.array([JsonTypes.fitted(value, field) for value in values], field.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
