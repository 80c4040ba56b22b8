"""The index of a pandas table that its Parquet file describes, but does not hold.

pandas and PyArrow write an index of numbers at equal distances, such as 1, 2, 3, as a start and a
step into the file's metadata. Other readers do not see it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

_KEY = b"pandas"
_MOST = 2**63


@dataclass(frozen=True)
class RangeIndex:
    """A column of numbers at equal distances.

    Attributes:
        name: the name of the column.
        start: the first number.
        step: the distance to the next one.
    """

    name: str
    start: int
    step: int

    def with_index(self, rows: pa.RecordBatch, before: int) -> pa.RecordBatch:
        """Return rows with this column.

        Args:
            rows: some rows of the file.
            before: the number of rows before them.
        """
        first = self.start + before * self.step
        stop = first + rows.num_rows * self.step
        column = pa.array(range(first, stop, self.step), pa.int64())
        return pa.RecordBatch.from_arrays(
            [*rows.columns, column], schema=self.with_field(rows.schema)
        )

    def with_field(self, schema: pa.Schema) -> pa.Schema:
        """Return a schema with this column."""
        return schema.append(pa.field(self.name, pa.int64()))


def range_index(schema: pa.Schema, num_rows: int) -> RangeIndex | None:
    """Return the index that the metadata of a file describes; None if it has no name.

    Args:
        schema: the columns of the file.
        num_rows: the number of its rows; an index of another length is of another table.
    """
    for index in _indexes((schema.metadata or {}).get(_KEY, b"")):
        name = index.get("name")
        if index.get("kind") != "range" or not isinstance(name, str) or name in schema.names:
            continue
        start, stop, step = (index.get(key) for key in ("start", "stop", "step"))
        if not (isinstance(start, int) and isinstance(stop, int) and isinstance(step, int)):
            continue
        if max(abs(start), abs(stop)) >= _MOST or step == 0:
            continue
        if len(range(start, stop, step)) == num_rows:
            return RangeIndex(name, start, step)
    return None


def _indexes(metadata: bytes) -> list[Mapping[str, object]]:
    try:
        found = json.loads(metadata)["index_columns"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return []
    indexes = found if isinstance(found, list) else []
    return [index for index in indexes if isinstance(index, dict)]
