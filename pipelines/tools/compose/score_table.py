"""Reads scores that were computed after a run, from a table with the columns `id` and the score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config.inputs import ManifestConfig
from pipelines.errors import ComposeError
from pipelines.fields.cells import identifier
from pipelines.keys.index import LsmTable, row_key
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.files import open_tables
from pipelines.manifest.row_parser import OversizedRow, UnreadableRow
from pipelines.manifest.table import SourceRow, Table
from pipelines.storage.filesystems import Options
from uso_core.errors import InvalidRequestError


def is_number(kind: pa.DataType) -> bool:
    """Return True if values of this type can be scores."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


class ScoreTable:
    """The scores of a table by row id, 24 bytes each; for a repeated id, the last one."""

    def __init__(self, url: str, column: str, options: Options) -> None:
        """Read the table.

        Args:
            url: a file, glob or folder, local or at any fsspec URL, in a format of manifests.
            column: the name of the score's column.
            options: fsspec options by protocol, secrets resolved.

        Raises:
            ComposeError: there is no such column, it or a value in it is not a number, or a row has
                no id.
            ManifestError: the table is not there or cannot be read.
        """
        self._scores = LsmTable(np.float64)
        for table in open_tables(ManifestConfig.model_validate({"path": url}), options):
            for chunk in _chunks(table, column):
                keys = [row_key(row_id) for row_id, _ in chunk]
                self._scores.put(keys, np.array([score for _, score in chunk], np.float64))

    def of(self, row_ids: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the score of each row, `[n]`; NaN for a row without one."""
        known, scores = self._scores.get([row_key(row_id) for row_id in row_ids])
        return np.where(known, scores, np.nan)


def _chunks(table: Table, column: str) -> Iterator[list[tuple[str, float]]]:
    for name in ("id", column):
        if name not in table.schema.names:
            held = ", ".join(table.schema.names) or "none"
            raise ComposeError(f"{table.uri}: no column {name!r}; its columns are {held}")
    kind = table.schema.field(column).type
    if is_number(kind) or pa.types.is_null(kind):
        kind = pa.float64()
    elif not table.typed:
        kind = pa.string()  # numbers are found value by value
    else:
        raise ComposeError(f"{table.uri}: its column {column!r} is {kind}, and a score is a number")
    plan = ColumnPlan({"id": "id"}, pa.schema([(column, kind)]), (column,))
    for batch in table.batches(plan):
        yield [_scored(table.uri, row, column) for row in batch.rows()]


def _scored(uri: str, row: SourceRow, column: str) -> tuple[str, float]:
    raw, extra = row
    if isinstance(raw, UnreadableRow):
        raise ComposeError(f"{raw.where}: {raw.reason}; correct this line or remove it")
    if isinstance(raw, OversizedRow):
        raise ComposeError(f"{uri}: its column {raw.column!r} holds a value that is too large")
    try:
        row_id = identifier(raw["id"])
    except InvalidRequestError as error:
        raise ComposeError(f"{uri}: a row has no usable id: {error}") from error
    value = extra[column]
    try:
        return row_id, float("nan") if value is None else float(value)
    except ValueError as error:
        raise ComposeError(
            f"{uri}: row {row_id}: its {column!r} is {value!r}, which is not a number"
        ) from error
