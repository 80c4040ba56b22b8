"""JSON Lines, CSV and the original's eval list as raw rows.

A line that is no row is one `UnreadableRow`, and costs no other row anything. Types of pass-through
columns: CSV has only text; JSON's are found by reading the file once before the run, and a column
of values that have no type in common is kept as JSON text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pyarrow as pa

from pipelines.errors import ManifestError
from pipelines.manifest.columns import ColumnPlan, FileSurvey
from pipelines.manifest.json_types import JsonTypes
from pipelines.manifest.row_parser import RawRow, UnreadableRow
from pipelines.manifest.source import ManifestFile

Line = tuple[Mapping[str, Any] | UnreadableRow, int]
"""A row's cells by the user's column names, and about how many bytes they are."""
TextChunk = list[tuple[RawRow | UnreadableRow, dict[str, Any]]]

_CHUNK_ROWS = 1024
_CHUNK_BYTES = 8 * 2**20
_MAX_CSV_CELL_BYTES = 256 * 2**20


def survey_text(file: ManifestFile) -> FileSurvey:
    """The columns: from the first line of a CSV file, from all of a JSON file.

    Raises:
        ManifestError: the file is gone, unreadable, or not in its format.
    """
    if file.format == "csv":
        header = _csv_header(file)
        return FileSurvey(file.uri, pa.schema([(name, pa.string()) for name in header]), None)
    types = JsonTypes()
    num_rows = 0
    for lines in _chunks(file):
        num_rows += len(lines)
        types.add([row for row, _ in lines if not isinstance(row, UnreadableRow)])
    return FileSurvey(file.uri, types.schema(), num_rows)


def read_text(file: ManifestFile, plan: ColumnPlan) -> Iterator[TextChunk]:
    """The rows in order, each with its pass-through cells.

    Raises:
        ManifestError: the file is gone or has changed.
    """
    for lines in _chunks(file):
        yield [_planned(row, plan) for row, _ in lines]


def _planned(
    row: Mapping[str, Any] | UnreadableRow, plan: ColumnPlan
) -> tuple[RawRow | UnreadableRow, dict[str, Any]]:
    names = plan.extra_schema.names
    if isinstance(row, UnreadableRow):
        return row, dict.fromkeys(names)
    raw = {ours: row.get(theirs) for ours, theirs in plan.inputs.items()}
    cells = zip(plan.extra_schema, plan.extra_sources, strict=True)
    return raw, {field.name: JsonTypes.fitted(row.get(theirs), field) for field, theirs in cells}


def _chunks(file: ManifestFile) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    size = 0
    try:
        for line in _lines(file):
            chunk.append(line)
            size += line[1]
            if len(chunk) == _CHUNK_ROWS or size >= _CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
    except OSError as error:
        raise ManifestError(file.uri, f"cannot be read any further ({error})") from error
    if chunk:
        yield chunk


def _lines(file: ManifestFile) -> Iterator[Line]:
    if file.format == "csv":
        return _csv_lines(file)
    if file.format == "eval_json" and _is_list(file):
        return _eval_lines(file)
    return _json_lines(file)


def _json_lines(file: ManifestFile) -> Iterator[Line]:
    with file.data.open_lines() as source:
        for number, line in enumerate(source, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield _json_row(text, f"{file.uri} line {number}"), len(line)


def _json_row(line: bytes, where: str) -> Mapping[str, Any] | UnreadableRow:
    try:
        row = json.loads(line.decode())
        if b"\\ud" in line.lower():
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeError:
        reason = "is not UTF-8"
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON ({type(error).__name__}: {str(error)[:100]})"
    else:
        if isinstance(row, dict):
            return row
        reason = "is not a JSON object; give one row a line, {...}"
    return UnreadableRow(where, reason, line.decode(errors="replace").strip())


def _is_list(file: ManifestFile) -> bool:
    with file.data.open_lines() as source:
        return source.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _eval_lines(file: ManifestFile) -> Iterator[Line]:
    with file.data.open_lines() as source:
        try:
            items = json.loads(source.read().decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ManifestError(file.uri, f"is not JSON ({str(error)[:200]})") from error
    for number, item in enumerate(items, 1):
        text = json.dumps(item)
        where = f"{file.uri} item {number}"
        row = _json_row(text.encode(), where)
        if isinstance(row, Mapping) and "image_paths" in row:
            row = _eval_row(row, where, text)
        yield row, len(text)


def _eval_row(row: Mapping[str, Any], where: str, text: str) -> Mapping[str, Any] | UnreadableRow:
    """`image_paths` is the content image (empty: none), then the styles."""
    paths = row["image_paths"] or [""]
    if not isinstance(paths, list):
        return UnreadableRow(where, "image_paths is not a list", text)
    others = {name: value for name, value in row.items() if name != "image_paths"}
    return {**others, "content_image": paths[0], "style_images": paths[1:]}


def _csv_header(file: ManifestFile) -> list[str]:
    with _csv_text(file) as source:
        try:
            names = _csv_names(csv.reader(source))
        except csv.Error as error:
            raise ManifestError(file.uri, f"is not CSV ({error})") from error
    if not _is_unicode("".join(names)):
        raise ManifestError(file.uri, "its first line is not UTF-8; save it as CSV in UTF-8")
    return names


def _csv_names(lines: Iterator[list[str]]) -> list[str]:
    """The names in the first line; a space beside a comma is no part of one."""
    return [name.strip() for name in next(lines, [])]


def _csv_lines(file: ManifestFile) -> Iterator[Line]:
    with _csv_text(file) as source:
        reader = csv.reader(source)
        header = _csv_names(reader)
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
                yield _csv_row(cells, header, f"{file.uri} line {reader.line_num}")


def _csv_row(cells: list[str], header: list[str], where: str) -> Line:
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


def _csv_text(file: ManifestFile) -> io.TextIOWrapper:
    # Cells may hold data: URIs; the limit is one for the process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_CSV_CELL_BYTES))
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
