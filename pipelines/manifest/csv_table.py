"""CSV files as tables; every value is text, and numbers are found in it (`csv_numbers`)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, cast

import pyarrow as pa

from pipelines.errors import ManifestError
from pipelines.manifest.bounded_lines import BoundedLines, LongLineError
from pipelines.manifest.csv_dialect import Dialect, dialect_of
from pipelines.manifest.json_types import JsonTypes
from pipelines.manifest.other_files import check_is_text
from pipelines.manifest.row_parser import UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.text_table import Line, TextTable, cannot_read_on

TAB_ENDINGS = (".tsv", ".tab")
"""Endings of files whose cells are delimited by tabs."""

_MAX_CELL_BYTES = 256 * 2**20
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*", re.ASCII)


@dataclass(frozen=True)
class CsvTable(TextTable):
    """A CSV file; see `TextTable`.

    Attributes:
        dialect: the way in which it is written.
        decimal_commas: names of columns in which `1,5` means 1.5.
    """

    dialect: Dialect = field(default=Dialect(","))
    decimal_commas: Set[str] = frozenset()

    def with_numbers(self, schema: pa.Schema, decimal_commas: Set[str]) -> CsvTable:
        """Return the same table with the types of numbers.

        Args:
            schema: the same columns; if one has a type of numbers, all of its cells are numbers.
            decimal_commas: names of columns in which `1,5` means 1.5.
        """
        read = partial(_lines, dialect=self.dialect, decimal_commas=decimal_commas)
        return replace(self, schema=schema, read_lines=read, decimal_commas=decimal_commas)

    def cells(self) -> Iterator[list[str]]:
        """Yield the cells of each line that is a row.

        Raises:
            ManifestError: the file is gone or has changed.
        """
        num_cells = len(self.schema.names)
        try:
            with opened_csv(self.file) as (lines, dialect, _):
                reader = csv.reader(lines, delimiter=dialect.delimiter)
                next(reader, None)
                while True:
                    lines.begin_row()
                    try:
                        row = next(reader)
                    except StopIteration:
                        return
                    except (csv.Error, LongLineError):
                        continue
                    if len(row) == num_cells:
                        yield row
        except OSError as error:
            raise cannot_read_on(self.file, error) from error

    def fitted(self, value: Any, field: pa.Field) -> Any:  # noqa: ANN401 (text, or a constant)
        """Return a cell as a value of the field's type."""
        if isinstance(value, str) and pa.types.is_integer(field.type):
            return int(value)
        if isinstance(value, str) and pa.types.is_floating(field.type):
            return float(value)
        return JsonTypes.fitted(value, field)


class CsvSource(NamedTuple):
    """An open file.

    Attributes:
        lines: its lines, except the first ones, which the dialect skips.
        dialect: the way in which it is written.
        text: the same file, at the end of the last line that `lines` gave.
    """

    lines: BoundedLines
    dialect: Dialect
    text: io.TextIOWrapper


def open_csv(file: ManifestFile) -> CsvTable:
    """Read the first lines of a CSV file for its columns.

    Raises:
        ManifestError: the file is gone, unreadable, or not CSV in UTF-8.
    """
    check_is_text(file)
    with opened_csv(file) as (lines, dialect, _):
        try:
            names = names_in(csv.reader(lines, delimiter=dialect.delimiter))
        except (csv.Error, LongLineError) as error:
            raise ManifestError(file.uri, f"is not CSV ({error})") from error
    if not _is_unicode("".join(names)):
        raise ManifestError(file.uri, "its first line is not UTF-8; save it as CSV in UTF-8")
    schema = pa.schema([(name, pa.string()) for name in names])
    read = partial(_lines, dialect=dialect)
    return CsvTable(file, read, schema, num_rows=None, typed=False, dialect=dialect)


def names_in(lines: Iterator[list[str]]) -> list[str]:
    """Return the names in the first line, without the spaces beside their delimiters."""
    return [name.strip() for name in next(lines, [])]


def _lines(
    file: ManifestFile, dialect: Dialect, decimal_commas: Set[str] = frozenset()
) -> Iterator[Line]:
    with opened_csv(file) as (lines, _, _):
        reader = csv.reader(lines, delimiter=dialect.delimiter)
        header = names_in(reader)
        while True:
            lines.begin_row()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, LongLineError) as error:
                where = f"{file.uri} line {lines.number}"
                said = str(error) if isinstance(error, LongLineError) else f"is not CSV ({error})"
                yield UnreadableRow(where, said, where), 0
                continue
            if cells:
                where = f"{file.uri} line {lines.number}"
                yield _row(cells, header, where, decimal_commas)


def _row(cells: list[str], header: list[str], where: str, decimal_commas: Set[str]) -> Line:
    text = ",".join(cells)
    if len(cells) != len(header):
        reason = f"has {len(cells)} cells, but the header has {len(header)}"
    elif not text.isascii() and not _is_unicode(text):
        reason = "is not UTF-8"
    else:
        row = {name: cell or None for name, cell in zip(header, cells, strict=True)}
        for name in decimal_commas:
            cell = row.get(name)
            if cell is not None and _DECIMAL_COMMA.fullmatch(cell):
                row[name] = cell.replace(",", ".")
        return row, len(text)
    shown = text.encode(errors="surrogateescape").decode(errors="replace")
    return UnreadableRow(where, reason, shown), len(text)


@contextmanager
def opened_csv(file: ManifestFile) -> Iterator[CsvSource]:
    """Open a file after the lines that its dialect skips.

    Raises:
        ManifestError: it is gone, or its first line is too long.
    """
    # Cells may hold data: URIs. The limit is one for the whole process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL_BYTES, file.max_row_bytes))
    source = io.TextIOWrapper(
        cast(io.BufferedReader, file.data.open_lines()),
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="",
    )
    with source:
        lines = BoundedLines(source, file.max_row_bytes)
        try:
            first = next(lines, "")
        except LongLineError as error:
            raise ManifestError(file.uri, f"is not CSV (its first line {error})") from error
        is_tabs = file.data.path.lower().endswith(TAB_ENDINGS)
        dialect = dialect_of(first, is_tabs=is_tabs)
        if not dialect.skipped_lines:
            lines.put_back(first)
        yield CsvSource(lines, dialect, source)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
