"""Rows in CSV, in JSON Lines and in the original's eval list."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from tests.golden_rows.invalid import invalid, mixed_lines
from tests.golden_rows.texts import texts

_SOME = 30


def csv_file() -> bytes:
    """Make a CSV file with invalid rows, a line of too few cells and a line that is not UTF-8."""
    table = invalid()
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([*table.schema.names, "note"])
    for n, row in enumerate(table.to_pylist()):
        if "\0" not in (row["content_image"] or ""):  # Python 3.10 cannot read it
            writer.writerow([*row.values(), f"note {n}, größe"])
    writer.writerow(["too", "few"])
    writer.writerow(["", "no id", *[""] * (len(table.schema.names) - 1)])
    writer.writerow(["", "no id", *[""] * (len(table.schema.names) - 1)])
    not_utf8 = b"bytes,\xff\xfe" + b"," * (len(table.schema.names) - 1) + b"\r\n"
    return stream.getvalue().encode() + not_utf8


def json_lines() -> bytes:
    """Make a JSON Lines file: rows of mixed types, then rows of the usual types."""
    usual = [json.dumps(_given(row)) for row in texts().to_pylist()[:_SOME]]
    return "\n".join([*mixed_lines(), *usual, ""]).encode()


def eval_list() -> bytes:
    """Make an eval list as the original has it."""
    items: list[Any] = [
        {"prompt": "both", "image_paths": ["cat.jpg", "a.png", "b.png"], "save_dir": "x"},
        {"prompt": "styles only", "image_paths": ["", "a.png"]},
        {"prompt": "content only", "image_paths": ["cat.jpg"]},
        {"prompt": "text only", "image_paths": []},
        {"prompt": "wrong", "image_paths": "cat.jpg"},
        {"prompt": "our names", "content_image": "cat.jpg"},
        ["no row"],
        {"id": "e7", "prompt": "too many", "image_paths": ["", *["a.png"] * 5]},
    ]
    return json.dumps(items, indent=1).encode()


def _given(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
