"""Writes rows as a manifest file, and counts their contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import ComposeError
from pipelines.fields.table import STYLE_COLUMNS
from pipelines.keys.distinct import DistinctCount
from pipelines.storage.filesystems import Options
from pipelines.storage.new_file import file_storage, new_parquet
from pipelines.tools.compose.pairing import Rows

_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 64 * 2**20
_COUNTED = (pa.types.is_string, pa.types.is_binary, pa.types.is_integer, pa.types.is_floating)


@dataclass(frozen=True, slots=True)
class Written:
    """A written manifest.

    Attributes:
        uri: the URI of the file, without credentials.
        rows: the number of rows.
        contents: the number of different content images.
        styles: the number of different style images.
        prompts: the number of different prompts.
        columns: the names of all columns.
    """

    uri: str
    rows: int
    contents: int
    styles: int
    prompts: int
    columns: tuple[str, ...]


def write_manifest(
    rows: Rows,
    url: str,
    options: Options,
    *,
    force: bool = False,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Written:
    """Write rows as one Parquet file; if this raises, nothing is written.

    Memory does not grow with the rows: see `DistinctCount`.

    Args:
        rows: the rows, which are read once.
        url: the file, local or at any fsspec URL; ends in `.parquet`.
        options: fsspec options by protocol, secrets resolved.
        force: replace an existing file.
        on_rows: called with the number of rows written since the last call.

    Raises:
        ComposeError: the file exists, its name has another ending, or there are no rows.
        StorageError: it cannot be written.
    """
    if not url.endswith((".parquet", ".pq")):
        raise ComposeError(
            f"{url}: a manifest is written as Parquet; give a name ending in .parquet"
        )
    storage, name = file_storage(url, options)
    if storage.exists(name) and not force:
        raise ComposeError(f"{storage.uri(name)}: already exists; use --force to replace it")
    distinct = _Distinct()
    count = 0
    groups = _grouped(rows)
    first = next(groups, None)
    if first is None:
        raise ComposeError("there are no rows to write")
    with new_parquet(storage, name, rows.schema, _with_few_values(first)) as writer:
        for table in chain([first], groups):
            distinct.add(table)
            count += table.num_rows
            writer.write_table(table, row_group_size=_GROUP_ROWS)
            on_rows(table.num_rows)
    return Written(
        uri=storage.uri(name),
        rows=count,
        contents=len(distinct.contents),
        styles=len(distinct.styles),
        prompts=len(distinct.prompts),
        columns=tuple(rows.schema.names),
    )


def _grouped(rows: Rows) -> Iterator[pa.Table]:
    """Join and cut batches to tables of row-group size."""
    waiting: list[pa.RecordBatch] = []
    size = num_rows = 0
    for batch in rows.batches:
        waiting.append(batch)
        size += batch.nbytes
        num_rows += batch.num_rows
        if num_rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            table = pa.Table.from_batches(waiting, rows.schema)
            ends = range(_GROUP_ROWS, num_rows + 1, _GROUP_ROWS) or [num_rows]
            for end in ends:
                yield table[max(0, end - _GROUP_ROWS) : end]
            rest = table[ends[-1] :]
            waiting, size, num_rows = rest.to_batches(), rest.nbytes, rest.num_rows
    if num_rows:
        yield pa.Table.from_batches(waiting, rows.schema)


def _with_few_values(group: pa.Table) -> list[str]:
    """Return the paths of the columns in which most values are repeats.

    A dictionary of values that do not repeat takes time, and twice the space.
    """
    empty = BytesIO()
    pq.write_table(group.schema.empty_table(), empty)
    paths = [str(column.path) for column in pq.ParquetFile(empty).schema]
    return [path for path in paths if not _are_many_values(group, path)]


def _are_many_values(group: pa.Table, path: str) -> bool:
    place = group.schema.get_field_index(path)  # -1 for a path inside a nested column
    if place < 0 or not any(is_kind(group.schema.field(place).type) for is_kind in _COUNTED):
        return False
    return 2 * int(pc.count_distinct(group.column(place)).as_py()) > len(group)


class _Distinct:
    """Counts distinct texts; images that are bytes are not counted."""

    def __init__(self) -> None:
        self.contents = DistinctCount()
        self.styles = DistinctCount()
        self.prompts = DistinctCount()

    def add(self, table: pa.Table) -> None:
        self._note(self.prompts, table, "prompt", empty_counts=True)
        self._note(self.contents, table, "content_image")
        for name in STYLE_COLUMNS:
            self._note(self.styles, table, name)

    @staticmethod
    def _note(
        known: DistinctCount, table: pa.Table, name: str, *, empty_counts: bool = False
    ) -> None:
        if name not in table.schema.names:
            return
        column = table.column(name)
        if pa.types.is_list(column.type):
            column = pc.list_flatten(column)
        if not pa.types.is_string(column.type):
            return
        values = pc.unique(column).drop_null()
        if not empty_counts:
            values = values.filter(pc.not_equal(values, ""))
        known.add(values, are_distinct=True)
