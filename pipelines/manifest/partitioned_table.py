"""A table with further columns, which have the same value in each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipelines.manifest.arrow_batch import ArrowBatch
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.json_types import JsonTypes
from pipelines.manifest.row_parser import OversizedRow, UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.table import RowBatch, SourceRow, Table
from pipelines.manifest.text_table import LineBatch


@dataclass(frozen=True)
class PartitionedTable:
    """A file with the columns that the names of its folders give; see `Table`.

    Attributes:
        table: the file without them.
        constants: their values, by name.
    """

    table: Table
    constants: Mapping[str, pa.Scalar]

    @property
    def file(self) -> ManifestFile:
        """The file."""
        return self.table.file

    @property
    def uri(self) -> str:
        """The file's URI for messages, without credentials."""
        return self.table.uri

    @property
    def schema(self) -> pa.Schema:
        """All columns; those of the folders are the last ones."""
        return _extended(self.table.schema, self.constants)

    @property
    def typed(self) -> bool:
        """False if every value in the file is text."""
        return self.table.typed

    @property
    def num_rows(self) -> int | None:
        """The number of rows; None if only reading them would tell."""
        return self.table.num_rows

    @property
    def groups(self) -> tuple[int, ...]:
        """The number of rows in each group that can be read alone."""
        return self.table.groups

    def batches(
        self, plan: ColumnPlan, *, most_rows: int | None = None, groups: range | None = None
    ) -> Iterator[RowBatch]:
        """Yield rows in order; see `Table.batches`."""
        sources = {*plan.inputs.values(), *plan.extra_sources}
        constants = {name: value for name, value in self.constants.items() if name in sources}
        for batch in self.table.batches(plan, most_rows=most_rows, groups=groups):
            if not constants:
                yield batch
            elif batch.columns is None:
                rows = batch.rows()
                yield LineBatch([_completed(row, plan, constants) for row in rows])
            else:
                columns = _with_columns(batch.columns, constants)
                yield ArrowBatch(self.uri, columns, plan, batch.large)


def _extended(schema: pa.Schema, constants: Mapping[str, pa.Scalar]) -> pa.Schema:
    return pa.schema([*schema, *((name, value.type) for name, value in constants.items())])


def _with_columns(batch: pa.RecordBatch, constants: Mapping[str, pa.Scalar]) -> pa.RecordBatch:
    columns = [pa.repeat(value, batch.num_rows) for value in constants.values()]
    schema = _extended(batch.schema, constants)
    return pa.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema)


def _completed(row: SourceRow, plan: ColumnPlan, constants: Mapping[str, pa.Scalar]) -> SourceRow:
    cells, extra = row
    if isinstance(cells, UnreadableRow | OversizedRow):
        return row
    inputs = {
        ours: constants[theirs].as_py()
        for ours, theirs in plan.inputs.items()
        if theirs in constants
    }
    own = {
        field.name: JsonTypes.fitted(constants[source].as_py(), field)
        for field, source in zip(plan.extra_schema, plan.extra_sources, strict=True)
        if source in constants
    }
    return {**cells, **inputs}, {**extra, **own}
