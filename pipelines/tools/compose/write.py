"""Writes rows as a manifest file, and counts their contents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ComposeError
from pipelines.fields.table import STYLE_COLUMNS
from pipelines.keys.distinct import DistinctCount
from pipelines.storage.filesystems import Options
from pipelines.storage.new_file import file_storage, new_parquet
from pipelines.tools.compose.pairing import Rows

_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 64 * 2**20


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
    with new_parquet(storage, name, rows.schema) as writer:
        for table in _grouped(rows):
            distinct.add(table)
            count += table.num_rows
            writer.write_table(table, row_group_size=_GROUP_ROWS)
            on_rows(table.num_rows)
        if not count:
            raise ComposeError("there are no rows to write")
    return Written(
        uri=storage.uri(name),
        rows=count,
        contents=len(distinct.contents),
        styles=len(distinct.styles),
        prompts=len(distinct.prompts),
        columns=tuple(rows.schema.names),
    )


def _grouped(rows: Rows) -> Iterator[pa.Table]:
    """Join small batches into tables of row-group size."""
    waiting: list[pa.RecordBatch] = []
    size = num_rows = 0
    for batch in rows.batches:
        waiting.append(batch)
        size += batch.nbytes
        num_rows += batch.num_rows
        if num_rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting, rows.schema)
            waiting, size, num_rows = [], 0, 0
    if num_rows:
        yield pa.Table.from_batches(waiting, rows.schema)


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
        known.add(values)
