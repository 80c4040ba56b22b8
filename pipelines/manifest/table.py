"""The protocol of tables: one file of rows, in any format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.row_parser import OversizedRow, RawRow, UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.parquet_batches import LargeRow

SourceRow = tuple[RawRow | UnreadableRow | OversizedRow, dict[str, Any]]
"""A row's input cells, and its pass-through cells as records have them."""

PARTIAL_MARK = {b"uso-batch.partial": b"1"}
"""Metadata of the schema of a manifest with some rows of another manifest."""


class RowBatch(Protocol):
    """Some rows of a table, in order; only the planned columns."""

    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    def columns(self) -> pa.RecordBatch | None:
        """The columns under the user's names; None for a format that has rows and no columns."""

    @property
    def large(self) -> Mapping[int, LargeRow]:
        """The places of rows over `manifest.max_row_mb`, which must not be skipped unread."""

    def head(self, count: int) -> RowBatch:
        """Return the first `count` rows, or all if there are fewer."""

    def where(self, mask: npt.NDArray[np.bool_]) -> RowBatch:
        """Return the rows for which `mask`, `[n]`, is True."""

    def rows(self) -> list[SourceRow]:
        """Return the rows as Python objects.

        Raises:
            ManifestError: a column cannot be converted to the type that other files need.
        """


class Table(Protocol):
    """One file of rows, whose columns are known and whose rows have not been read."""

    @property
    def file(self) -> ManifestFile:
        """The file, as it was when its columns were looked at."""

    @property
    def uri(self) -> str:
        """The file's URI for messages, without credentials."""

    @property
    def schema(self) -> pa.Schema:
        """All columns."""

    @property
    def typed(self) -> bool:
        """False for a format in which every value is text."""

    @property
    def num_rows(self) -> int | None:
        """The number of rows; None if only reading them would tell."""

    @property
    def groups(self) -> tuple[int, ...]:
        """The number of rows in each group that can be read alone; empty: there are none."""

    def batches(
        self, plan: ColumnPlan, *, most_rows: int | None = None, groups: range | None = None
    ) -> Iterator[RowBatch]:
        """Yield rows in order, a small batch at a time.

        Args:
            plan: the use of the columns.
            most_rows: the maximum number of rows of a batch of columns; None: as many as suit a
                pass that makes Python objects of them.
            groups: the numbers of the groups to read; None: the whole table.

        Raises:
            ManifestError: the file is gone, has changed, or is damaged.
        """


def is_partial(table: Table) -> bool:
    """Return True if the file says that it has only some rows of another manifest."""
    return (table.schema.metadata or {}).items() >= PARTIAL_MARK.items()
