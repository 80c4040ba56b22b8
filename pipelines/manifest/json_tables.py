"""JSON Lines files, and the original implementation's eval lists, as tables.

Types of columns are found by reading the file once before the run. A column of values that have no
type in common is kept as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.errors import ManifestError
from pipelines.manifest.bounded_lines import BoundedLines, LongLineError
from pipelines.manifest.json_types import JsonTypes
from pipelines.manifest.other_files import check_is_text
from pipelines.manifest.row_parser import UnreadableRow
from pipelines.manifest.source import ManifestFile
from pipelines.manifest.text_table import Line, ReadLines, TextTable, chunks

_MAX_LIST_BYTES = 64 * 10**6


def open_json_lines(file: ManifestFile) -> TextTable:
    """Read all of a JSON Lines file for its columns.

    Raises:
        ManifestError: the file is gone or unreadable.
    """
    return _opened(file, _json_lines)


def open_eval_list(file: ManifestFile) -> TextTable:
    """Read all of an eval list for its columns; a file that is not a list is read as JSON Lines.

    Raises:
        ManifestError: the file is gone, unreadable, or not JSON.
    """
    return _opened(file, lambda it: _eval_lines(it) if _is_list(it) else _json_lines(it))


def _opened(file: ManifestFile, read_lines: ReadLines) -> TextTable:
    check_is_text(file)
    types = JsonTypes()
    num_rows = 0
    for lines in chunks(file, read_lines):
        num_rows += len(lines)
        types.add([row for row, _ in lines if not isinstance(row, UnreadableRow)])
    return TextTable(file, read_lines, types.schema(), num_rows, typed=True)


def _json_lines(file: ManifestFile) -> Iterator[Line]:
    with file.data.open_lines() as source:
        lines = BoundedLines(source, file.max_row_bytes)
        while True:
            lines.begin_row()
            try:
                line = next(lines)
            except StopIteration:
                return
            except LongLineError as error:
                where = f"{file.uri} line {lines.number}"
                yield UnreadableRow(where, str(error), error.start.decode(errors="replace")), 0
                continue
            text = line.removeprefix(b"\xef\xbb\xbf") if lines.number == 1 else line
            if text.strip():
                yield _json_row(text, f"{file.uri} line {lines.number}"), len(line)


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
    if file.data.size > _MAX_LIST_BYTES:
        raise ManifestError(
            file.uri,
            f"a JSON list is read at once, so it may take {_MAX_LIST_BYTES / 1e6:g} MB at most; "
            "store larger ones as JSON Lines, one object per line",
        )
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
    """Split `image_paths` into the content image (an empty text for none) and the styles."""
    paths = row["image_paths"] or [""]
    if not isinstance(paths, list):
        return UnreadableRow(where, "image_paths is not a list", text)
    others = {name: value for name, value in row.items() if name != "image_paths"}
    return {**others, "content_image": paths[0], "style_images": paths[1:]}
