"""Scores that were computed after a run: a table with the columns `id` and the score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config.inputs import ManifestConfig
from pipelines.errors import ComposeError
from pipelines.keys.index import LsmTable, row_key
from pipelines.manifest.cells import identifier
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.files import find_files
from pipelines.manifest.parquet_reader import parquet_batches, raw_rows, survey_parquet
from pipelines.manifest.row_parser import RawRow, UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.text_readers import TextChunk, read_text, survey_text
from pipelines.storage.filesystems import Options
from uso_core.errors import InvalidRequestError


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type can be scores."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


class ScoreTable:
    """The scores of a table by row id, 24 bytes each; of a repeated id the last one counts."""

    def __init__(self, url: str, column: str, options: Options) -> None:
        """Read the table.

        Args:
            url: Parquet, CSV or JSON Lines: a file, glob or folder, local or any fsspec URL.
            column: the score's.
            options: fsspec options by protocol, secrets resolved.

        Raises:
            ComposeError: there is no such column, it or a value in it is no number, or a row has
                no id.
            ManifestError: the table is not there or cannot be read.
        """
        self._scores = LsmTable(np.float64)
        for file in find_files(ManifestConfig.model_validate({"path": url}), options):
            for chunk in _chunks(file.looked_at(), column):
                keys = [row_key(row_id) for row_id, _ in chunk]
                self._scores.put(keys, np.array([score for _, score in chunk], np.float64))

    def of(self, row_ids: Sequence[str]) -> npt.NDArray[np.float64]:
        """The score of each row, `[n]`; NaN where it has none."""
        known, scores = self._scores.get([row_key(row_id) for row_id in row_ids])
        return np.where(known, scores, np.nan)


def _chunks(file: ManifestFile, column: str) -> Iterator[list[tuple[str, float]]]:
    is_parquet = file.format == "parquet"
    survey = survey_parquet(file) if is_parquet else survey_text(file)
    for name in ("id", column):
        if name not in survey.schema.names:
            held = ", ".join(survey.schema.names) or "none"
            raise ComposeError(f"{file.uri}: no column {name!r}; its columns are {held}")
    kind = survey.schema.field(column).type
    if file.format == "csv":
        kind = pa.string()  # numbers are found value by value
    elif not (is_number(kind) or pa.types.is_null(kind)):
        raise ComposeError(f"{file.uri}: its column {column!r} is {kind}, and a score is a number")
    else:
        kind = pa.float64()
    plan = ColumnPlan({"id": "id"}, pa.schema([(column, kind)]), (column,))
    for rows in _rows(file, plan, is_parquet=is_parquet):
        yield [_scored(file, raw, extra[column], column) for raw, extra in rows]


def _rows(file: ManifestFile, plan: ColumnPlan, *, is_parquet: bool) -> Iterator[TextChunk]:
    if not is_parquet:
        yield from read_text(file, plan)
        return
    for batch in parquet_batches(file, plan):
        yield [*raw_rows(file, batch, plan)]


def _scored(
    file: ManifestFile, raw: RawRow | UnreadableRow, value: float | str | None, column: str
) -> tuple[str, float]:
    if isinstance(raw, UnreadableRow):
        raise ComposeError(f"{raw.where}: {raw.reason}; mend this line or take it out")
    try:
        row_id = identifier(raw["id"])
    except InvalidRequestError as error:
        raise ComposeError(f"{file.uri}: a row cannot be told by its id: {error}") from error
    try:
        return row_id, float("nan") if value is None else float(value)
    except ValueError as error:
        raise ComposeError(
            f"{file.uri}: row {row_id}: its {column!r} is {value!r}, which is no number"
        ) from error
