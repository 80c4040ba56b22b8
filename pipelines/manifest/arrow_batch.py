"""Rows in Arrow columns, converted to Python objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.arrow_types.cells import cells_of
from pipelines.arrow_types.json_text import holds_json, parsed
from pipelines.errors import ManifestError
from pipelines.fields.cells import UnreadableCell
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.row_parser import RawRow
from pipelines.manifest.table import SourceRow


@dataclass(frozen=True)
class ArrowBatch:
    """A `RowBatch` of a format with columns.

    Attributes:
        uri: the URI of the file, for messages.
        columns: under the user's names.
        plan: the use of the columns.
    """

    uri: str
    columns: pa.RecordBatch
    plan: ColumnPlan

    def __len__(self) -> int:
        return len(self.columns)

    def head(self, count: int) -> ArrowBatch:
        """Return the first `count` rows, or all if there are fewer."""
        return replace(self, columns=self.columns[:count])

    def where(self, mask: npt.NDArray[np.bool_]) -> ArrowBatch:
        """Return the rows for which `mask`, `[n]`, is True."""
        return replace(self, columns=self.columns.filter(pa.array(mask)))

    def rows(self) -> list[SourceRow]:
        """Return the rows as Python objects.

        Raises:
            ManifestError: a column cannot be converted to the type that other files need.
        """
        return list(zip(self._inputs(), self._extras(), strict=True))

    def _inputs(self) -> Iterator[RawRow]:
        names = self.columns.schema.names
        present = {ours: theirs for ours, theirs in self.plan.inputs.items() if theirs in names}
        if not present:
            return iter([{}] * len(self))
        columns = [_input_cells(self.columns.column(theirs)) for theirs in present.values()]
        return (dict(zip(present, cells, strict=True)) for cells in zip(*columns, strict=True))

    def _extras(self) -> Iterator[dict[str, Any]]:
        names = self.plan.extra_schema.names
        if not names:
            return ({} for _ in range(len(self)))
        columns = [
            self._extra_cells(source, field)
            for source, field in zip(self.plan.extra_sources, self.plan.extra_schema, strict=True)
        ]
        return (dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True))

    def _extra_cells(self, source: str, field: pa.Field) -> list[Any]:
        """Return values in the unified type; see `cells_of`."""
        if source not in self.columns.schema.names:
            return [None] * len(self)
        column = self.columns.column(source)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                reason = str(error).partition("\n")[0][:200]
                raise ManifestError(
                    self.uri,
                    f"its column {source!r} does not go into {field.type}, which the other files "
                    f"need ({reason}); leave it out of manifest.keep_columns",
                ) from error
        return cells_of(column)


def _input_cells(column: pa.Array) -> list[Any]:
    cells = _python_cells(column)
    if holds_json(column.type):
        return [parsed(cell, column.type, _not_json) for cell in cells]
    return cells


def _not_json(_: str) -> UnreadableCell:
    return UnreadableCell("text that is not JSON")


def _python_cells(column: pa.Array) -> list[Any]:
    try:
        return column.to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped
    except (ValueError, OverflowError):
        return [_input_cell(scalar) for scalar in column]


def _input_cell(scalar: pa.Scalar) -> Any:  # noqa: ANN401 (whatever a cell holds)
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return UnreadableCell("text that is not UTF-8")
    except (ValueError, OverflowError):
        return UnreadableCell(f"a {scalar.type} that cannot be read")
