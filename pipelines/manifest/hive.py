"""Columns that are in the names of folders, as Hive, Spark, DuckDB and PyArrow write them.

A file in `style=s1/size=512/` has the columns `style` and `size`, with the same value in each row.
Values have the one type that fits all of them, as in DuckDB and Spark: integers, numbers, dates,
timestamps or else text. See `number_text` for the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.display import display_value
from pipelines.errors import ManifestError
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.number_text import is_integer, is_number
from pipelines.manifest.partitioned_table import PartitionedTable
from pipelines.manifest.row_parser import UnreadableRow
from pipelines.manifest.source import ManifestFile, Partition
from pipelines.manifest.table import RowBatch, Table

_NULL = "__HIVE_DEFAULT_PARTITION__"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?", re.ASCII)


def is_partition(folder: str) -> bool:
    """Return True if the name of a folder is `NAME=VALUE`; the value may be empty."""
    return folder.find("=") > 0


def partitions_of(path: str, folder: str) -> tuple[Partition, ...]:
    """Return the columns in a file's path, in order, percent-decoded; null if the value is Hive's.

    They are in the names of all folders below `folder`, and at the end of the path of `folder`.

    Args:
        path: the path of the file.
        folder: the folder that was searched.
    """
    above, below = folder.split("/"), path.removeprefix(folder).strip("/").split("/")[:-1]
    first = len(above)
    while first and is_partition(above[first - 1]):
        first -= 1
    pairs = [name.partition("=") for name in (*above[first:], *below) if is_partition(name)]
    return tuple((unquote(name), _value(value)) for name, _, value in pairs)


def _value(text: str) -> str | None:
    return None if text == _NULL else unquote(text)


def with_partitions(
    tables: Sequence[Table], files: Sequence[ManifestFile], text: Collection[str]
) -> list[Table]:
    """Return the tables with the columns that are in the names of their folders.

    A column that is in the file too keeps the file's values and type.

    Args:
        tables: the tables.
        files: the file of each table.
        text: names of columns that stay text.

    Raises:
        ManifestError: a path names a column twice, or a file has other values than its folder.
    """
    values: dict[str, list[str | None]] = {}
    for file in files:
        for name, value in _columns(file).items():
            values.setdefault(name, []).append(value)
    if not values:
        return list(tables)
    kept = {*text, *_texts_in(tables)}
    kinds = {n: pa.string() if n in kept else _kind(each) for n, each in values.items()}
    return [
        _with_constants(table, _columns(file), kinds)
        for table, file in zip(tables, files, strict=True)
    ]


def _columns(file: ManifestFile) -> dict[str, str | None]:
    found = dict(file.partitions)
    if len(found) < len(file.partitions):
        names = [name for name, _ in file.partitions]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ManifestError(
            file.uri,
            f"its folders give the column {repeated!r} twice; rename one of them, or set "
            "manifest.hive_partitioning: false",
        )
    return found


def _texts_in(tables: Sequence[Table]) -> set[str]:
    return {field.name for table in tables for field in table.schema if _is_text(field.type)}


def _is_text(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in kinds)


def _with_constants(
    table: Table, values: Mapping[str, str | None], kinds: Mapping[str, pa.DataType]
) -> Table:
    for name in values.keys() & set(table.schema.names):
        _check_agrees(table, name, values[name])
    new = {
        name: pa.scalar(None if value is None else _READERS[kinds[name]](value), kinds[name])
        for name, value in values.items()
        if name not in table.schema.names
    }
    return PartitionedTable(table, new) if new else table


def _kind(values: Iterable[str | None]) -> pa.DataType:
    given = [value for value in values if value is not None]
    return next((kind for kind, fits in _FITS if given and all(map(fits, given))), pa.string())


def _is_time(pattern: re.Pattern[str], text: str) -> bool:
    if pattern.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(_padded(text))
    except ValueError:
        return False
    return True


def _padded(text: str) -> str:
    """Return a timestamp as Python 3.10 reads it: with six digits after a point."""
    before, point, digits = text.partition(".")
    return f"{before}{point}{digits.ljust(6, '0')}" if point else text


_FITS: tuple[tuple[pa.DataType, Callable[[str], bool]], ...] = (
    (pa.int64(), is_integer),
    (pa.float64(), is_number),
    (pa.date32(), lambda text: _is_time(_DATE, text)),
    (pa.timestamp("us"), lambda text: _is_time(_TIMESTAMP, text)),
)
_READERS: dict[pa.DataType, Callable[[str], Any]] = {
    pa.int64(): int,
    pa.float64(): float,
    pa.date32(): date.fromisoformat,
    pa.timestamp("us"): lambda text: datetime.fromisoformat(_padded(text)),
    pa.string(): str,
}


def _check_agrees(table: Table, name: str, value: str | None) -> None:
    """Read a column of a file and compare it with the file's folder."""
    kind = table.schema.field(name).type
    plan = ColumnPlan({}, pa.schema([(name, kind)]), (name,))
    for batch in table.batches(plan):
        for cell in _different_cells(batch, name):
            if not _is_same(cell, value):
                shown = "null" if value is None else display_value(value)
                raise ManifestError(
                    table.uri,
                    f"its column {name!r} has the value {display_value(cell)}, but the folder says "
                    f"{shown}; correct one of them, remove the column from the file, or set "
                    "manifest.hive_partitioning: false",
                )


def _different_cells(batch: RowBatch, name: str) -> list[Any]:
    if batch.columns is None:
        cells = [row[1][name] for row in batch.rows() if not isinstance(row[0], UnreadableRow)]
        return list({repr(cell): cell for cell in cells}.values())
    column = batch.columns.column(name)
    with suppress(pa.ArrowNotImplementedError):
        column = pc.unique(column)
    return list(column.to_pylist())


def _is_same(cell: Any, value: str | None) -> bool:  # noqa: ANN401 (whatever a cell holds)
    if cell is None or value is None:
        return cell is None and value is None
    if isinstance(cell, bool):
        return str(cell).lower() == value.lower()
    read = next((read for kind, read in _SAME.items() if isinstance(cell, kind)), str)
    try:
        return bool(cell == read(value)) if read is not str else str(cell) == value
    except (ValueError, ArithmeticError):
        return False


_SAME: dict[type, Callable[[str], Any]] = {
    float: float,
    int: Decimal,
    Decimal: Decimal,
    datetime: _READERS[pa.timestamp("us")],
}
