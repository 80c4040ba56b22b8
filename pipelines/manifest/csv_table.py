"""CSV files as tables; every value is text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import cast

import pyarrow as pa

from pipelines.errors import ManifestError
from pipelines.manifest.row_parser import UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.text_table import Line, TextTable

_MAX_CELL_BYTES = 256 * 2**20


def open_csv(file: ManifestFile) -> TextTable:
    """Read the first line of a CSV file for its columns.

    Raises:
        ManifestError: the file is gone, unreadable, or not CSV in UTF-8.
    """
    with _text(file) as source:
        try:
            names = _names(csv.reader(source))
        except csv.Error as error:
            raise ManifestError(file.uri, f"is not CSV ({error})") from error
    if not _is_unicode("".join(names)):
        raise ManifestError(file.uri, "its first line is not UTF-8; save it as CSV in UTF-8")
    schema = pa.schema([(name, pa.string()) for name in names])
    return TextTable(file, _lines, schema, num_rows=None, typed=False)


def _names(lines: Iterator[list[str]]) -> list[str]:
    """Return the names in the first line, without the spaces beside their commas."""
    return [name.strip() for name in next(lines, [])]


def _lines(file: ManifestFile) -> Iterator[Line]:
    with _text(file) as source:
        reader = csv.reader(source)
        header = _names(reader)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                where = f"{file.uri} line {reader.line_num}"
                yield UnreadableRow(where, f"is not CSV ({error})", where), 0
                continue
            if cells:
                yield _row(cells, header, f"{file.uri} line {reader.line_num}")


def _row(cells: list[str], header: list[str], where: str) -> Line:
    text = ",".join(cells)
    if len(cells) != len(header):
        reason = f"has {len(cells)} cells, but the header has {len(header)}"
    elif not text.isascii() and not _is_unicode(text):
        reason = "is not UTF-8"
    else:
        row = {name: cell or None for name, cell in zip(header, cells, strict=True)}
        return row, len(text)
    shown = text.encode(errors="surrogateescape").decode(errors="replace")
    return UnreadableRow(where, reason, shown), len(text)


def _text(file: ManifestFile) -> io.TextIOWrapper:
    # Cells may hold data: URIs. The limit is one for the whole process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_CELL_BYTES))
    return io.TextIOWrapper(
        cast(io.BufferedReader, file.data.open_lines()),
        encoding="utf-8-sig",
        errors="surrogateescape",
        newline="",
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
