"""Rows with one invalid cell each, and rows with unusual cells that are valid."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

# Cells as text, as CSV has them.
_TEXTS: list[dict[str, str]] = [
    {"width": "511"},
    {"width": "513"},
    {"width": "1552"},
    {"width": "512.0"},
    {"width": "512.5"},
    {"width": "5.12e2"},
    {"width": " 512 "},
    {"width": "wide"},
    {"width": "-512"},
    {"height": "0"},
    {"height": "1e999"},
    {"num_steps": "0"},
    {"num_steps": "51"},
    {"num_steps": "true"},
    {"guidance": "0.99"},
    {"guidance": "5.01"},
    {"guidance": "nan"},
    {"guidance": "1e400"},
    {"guidance": "4"},
    {"guidance": "+4.50"},
    {"seed": "-2"},
    {"seed": "2147483648"},
    {"seed": "2147483647"},
    {"seed": "2147483647", "num_images": "2"},
    {"seed": ""},
    {"keep_size": "yes"},
    {"keep_size": "TRUE"},
    {"keep_size": "0"},
    {"keep_size": "2"},
    {"content_long_size": "-1"},
    {"content_long_size": "1025"},
    {"num_images": "0"},
    {"num_images": "9"},
    {"content_image": "a\x00b.png"},
    {"style_images": '["a.png", "b.png"]'},
    {"style_images": '["a.png", null]'},
    {"style_images": '["a.png", 3]'},
    {"style_images": '["a.png"'},
    {"style_images": json.dumps(["a.png"] * 4)},
    {"style_images": json.dumps(["a.png"] * 4), "style_image": "b.png"},
    {"style_images": json.dumps(["a.png"] * 5)},
    {"style_weights": "1"},
    {"style_weights": "1", "style_image": "a.png"},
    {"style_weights": "0.5", "style_image": "a.png"},
    {"style_weights": "[1, 1]", "style_image": "a.png"},
    {"style_weights": "[0.5, 1]", "style_images": '["a.png", "b.png"]'},
    {"style_weights": "[2.01]", "style_image": "a.png"},
    {"style_weights": "[-0.1]", "style_image": "a.png"},
    {"style_weights": "[null]", "style_image": "a.png"},
    {"style_weights": "[0.5", "style_image": "a.png"},
    {"style_weights": "{}", "style_image": "a.png"},
]
_LONG_ID = {"id": "i" * 257, "prompt": "an id that is too long"}

# A JSON Lines file can mix types in a column.
_MIXED: list[dict[str, Any]] = [
    {"id": 7, "prompt": "a number as id"},
    {"id": 7.0, "prompt": "the same number"},
    {"id": 7.5},
    {"id": True},
    {"id": ["a"]},
    {"id": ""},
    {"id": None, "prompt": "null as id"},
    {"prompt": 5},
    {"prompt": ["a"]},
    {"prompt": {"text": "a"}},
    {"prompt": "numbers as text", "width": "512", "guidance": "4", "seed": "9", "keep_size": "1"},
    {"prompt": "numbers as floats", "width": 512.0, "num_steps": 4.0, "keep_size": 1},
    {"prompt": "a wide one", "width": True},
    {"width": [512]},
    {"guidance": True},
    {"seed": 1.5},
    {"seed": -3},
    {"keep_size": "maybe"},
    {"keep_size": 1.0},
    {"content_image": 3},
    {"content_image": {"path": "a.png"}},
    {"content_image": {"path": "a.png", "size": 3}},
    {"content_image": ["a.png"]},
    {"style_images": "a.png"},
    {"style_images": {"path": "a.png"}},
    {"style_images": [["a.png"]]},
    {"style_images": [None]},
    {"style_images": ["a.png", ""]},
    {"style_image": "a.png", "style_weights": 1},
    {"style_image": "a.png", "style_weights": [True]},
    {"style_image": "a.png", "style_weights": "1"},
    {"style_image": "a.png", "style_weights": [1, 1]},
    {"style_image": "a.png", "style_weights": ["0.5"]},
    {"style_image": "a.png", "style_weights": {}},
    {"prompt": "own columns", "score": 1, "tags": ["a"], "facts": {"a": 1}},
    {"prompt": "own columns", "score": 0.5, "tags": [], "facts": {"b": "x"}},
    {"prompt": "own columns", "score": None, "tags": None, "mixed": "text"},
    {"prompt": "own columns", "mixed": 3},
    {"prompt": "own columns", "mixed": {"größe": 1}},
]


def invalid() -> pa.Table:
    """Make rows with text in every column; the last one repeats an id."""
    rows = [{"id": f"i{n:02d}", "prompt": f"row {n}"} | cells for n, cells in enumerate(_TEXTS)]
    repeat = {"id": "i00", "prompt": "an id that an earlier row has"}
    names = dict.fromkeys(name for row in rows for name in row)
    schema = pa.schema([(name, pa.string()) for name in names])
    return pa.Table.from_pylist([*rows, _LONG_ID, repeat], schema=schema)


def mixed_lines() -> list[str]:
    """Make lines of a JSON Lines file, some of which are not rows."""
    rows = [json.dumps(row, ensure_ascii=n % 2 == 0) for n, row in enumerate(_MIXED)]
    return [*rows, "nope", "[1, 2]", '"text"', "", '{"prompt": "\\ud800"}', '{"prompt": "last"}']
