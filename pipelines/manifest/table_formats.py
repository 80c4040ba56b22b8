"""The formats of tables. A new one is a module that opens a `Table`, and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.manifest.csv_table import TAB_ENDINGS, open_csv
from pipelines.manifest.json_tables import open_eval_list, open_json_lines
from pipelines.manifest.parquet_table import ParquetTable
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.table import Table


@dataclass(frozen=True)
class TableFormat:
    """One format.

    Attributes:
        endings: endings of file names, in lower case.
        open: finds the columns of a file; raises `ManifestError`.
        searched_in_folders: True if a folder's files in this format may be its manifest.
        other_endings: endings that files in this format may have if it is named.
    """

    endings: tuple[str, ...]
    open: Callable[[ManifestFile], Table]
    searched_in_folders: bool = True
    other_endings: tuple[str, ...] = ()


FORMATS: dict[str, TableFormat] = {
    "parquet": TableFormat((".parquet", ".pq", ".parq"), ParquetTable.open),
    "jsonl": TableFormat((".jsonl", ".ndjson"), open_json_lines, other_endings=(".json",)),
    "csv": TableFormat((".csv", *TAB_ENDINGS), open_csv, other_endings=(".txt",)),
    # A folder's .json files are more likely to describe it.
    "eval_json": TableFormat((".json",), open_eval_list, searched_in_folders=False),
}
"""By the value of `manifest.format`; a folder or glob yields the first format that it has."""


def open_table(file: ManifestFile) -> Table:
    """Look at a file anew and find its columns; no row is checked yet.

    Of Parquet files only the footer is read, of CSV the first line; JSON is read once.

    Raises:
        ManifestError: the file is gone, unreadable, or not in its format.
    """
    return FORMATS[file.format].open(file.looked_at())
