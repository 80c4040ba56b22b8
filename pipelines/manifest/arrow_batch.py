"""Rows in Arrow columns, converted to Python objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.arrow_types.cells import cells_of
from pipelines.arrow_types.json_text import holds_json, parsed
from pipelines.errors import ManifestError
from pipelines.fields.cells import UnreadableCell, exact_id
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.row_parser import OversizedRow, RawRow
from pipelines.manifest.table import SourceRow
from pipelines.parquet_batches import LargeRow


@dataclass(frozen=True)
class ArrowBatch:
    """A `RowBatch` of a format with columns.

    Attributes:
        uri: the URI of the file, for messages.
        columns: under the user's names.
        plan: the use of the columns.
        large: the rows over `manifest.max_row_mb`, by their places; their long values are null.
    """

    uri: str
    columns: pa.RecordBatch
    plan: ColumnPlan
    large: Mapping[int, LargeRow] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns)

    def head(self, count: int) -> ArrowBatch:
        """Return the first `count` rows, or all if there are fewer."""
        large = {row: it for row, it in self.large.items() if row < count}
        return replace(self, columns=self.columns[:count], large=large)

    def where(self, mask: npt.NDArray[np.bool_]) -> ArrowBatch:
        """Return the rows for which `mask`, `[n]`, is True."""
        places = np.cumsum(mask) - 1
        large = {int(places[row]): it for row, it in self.large.items() if mask[row]}
        return replace(self, columns=self.columns.filter(pa.array(mask)), large=large)

    def rows(self) -> list[SourceRow]:
        """Return the rows as Python objects.

        Raises:
            ManifestError: a column cannot be converted to the type that other files need.
        """
        rows: list[SourceRow] = list(zip(self._inputs(), self._extras(), strict=True))
        for row, (num_bytes, column) in self.large.items():
            cells, extra = rows[row]
            assert isinstance(cells, Mapping)
            rows[row] = OversizedRow(cells, column, num_bytes), extra
        return rows

    def _inputs(self) -> Iterator[RawRow]:
        names = self.columns.schema.names
        present = {ours: theirs for ours, theirs in self.plan.inputs.items() if theirs in names}
        if not present:
            return iter([{}] * len(self))
        columns = [
            (id_cells if ours == "id" else _input_cells)(self.columns.column(theirs))
            for ours, theirs in present.items()
        ]
        return (dict(zip(present, cells, strict=True)) for cells in zip(*columns, strict=True))

    def _extras(self) -> Iterator[dict[str, Any]]:
        names = self.plan.extra_schema.names
        if not names:
            return ({} for _ in range(len(self)))
        # Asking the schema for a name costs time in proportion to its columns.
        present = {name: index for index, name in enumerate(self.columns.schema.names)}
        columns = [
            self._extra_cells(source, wanted, present)
            for source, wanted in zip(self.plan.extra_sources, self.plan.extra_schema, strict=True)
        ]
        return (dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True))

    def check_extras(self) -> None:
        """Check the pass-through columns as `rows` does, without converting them.

        Raises:
            ManifestError: a column cannot be converted to the type that other files need.
        """
        names = frozenset(self.columns.schema.names)
        for source, wanted in zip(self.plan.extra_sources, self.plan.extra_schema, strict=True):
            if source in names:
                self._unified(source, self.columns.column(source), wanted)

    def _extra_cells(self, source: str, wanted: pa.Field, present: Mapping[str, int]) -> list[Any]:
        """Return values in the unified type; see `cells_of`."""
        if source not in present:
            return [None] * len(self)
        return cells_of(self._unified(source, self.columns.column(present[source]), wanted))

    def _unified(self, source: str, column: pa.Array, wanted: pa.Field) -> pa.Array:
        if column.type == wanted.type:
            return column
        try:
            return column.cast(wanted.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise ManifestError(
                self.uri,
                f"its column {source!r} does not go into {wanted.type}, which the other files "
                f"need ({reason}); leave it out of manifest.keep_columns",
            ) from error


def id_cells(column: pa.Array) -> list[Any]:
    """Return the cells of a column of ids; numbers that its type rounds are `RoundedId`s."""
    cells = _input_cells(column)
    if not pa.types.is_floating(column.type):
        return cells
    return [exact_id(cell, column.type.bit_width) for cell in cells]


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
