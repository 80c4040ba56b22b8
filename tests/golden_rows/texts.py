"""Rows of the usual types: all columns, all kinds of references, repeated rows."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

import pyarrow as pa

ROWS = 96

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGD4DwABBAEA"
    "X+XDSwAAAABJRU5ErkJggg=="
)
SIGNED = (
    "https://cdn.example.org/a/b.jpg?X-Amz-Signature=0123abcd&v=2&X-Amz-Date=20260101T000000Z#top"
)

PROMPTS = (
    "",
    "a cat in the snow",
    None,
    "ein Fuchs im Wald, größer als je zuvor",
    "雪の中の猫",
    "🦊 a fox\twith a tab\nand a line break",
    "  spaces at both ends  ",
    'quotes " and \\ backslashes, commas, and \u202eright to left',
    "e\u0301 is not \u00e9",
    "a very long prompt about the sea at night; " * 30,
    "\u0000 and \u007f",
)
CONTENT = (
    None,
    "cat.jpg",
    "photos/cat 1.jpg",
    "../outside/./cat.jpg",
    "/data/photos/cat.jpg",
    "file:///data/photos/cat.jpg",
    "s3://bucket/photos/cat.jpg",
    "",
    SIGNED,
    "https://user:secret@example.org/cat.jpg?width=2",
    "gs://bucket/größe/kätzchen.png",
    "hf://datasets/owner/name/cat.webp",
    PIXEL,
    "az://container/cat.jpg?sig=abc",
    "zip://inner/cat.jpg::s3://user:pw@bucket/all.zip",
    "DATA:text/plain,cat",
    "abfs://container@account.dfs.core.windows.net/cat.jpg",
)
STYLE = (None, "woodcut.png", "", "s3://bucket/styles/oil.png?versionId=3", "styles/../ink.png")
EXTRA = (None, None, "ink.png", "https://example.org/style?token=1", None, PIXEL, None)
STYLES: tuple[list[str] | None, ...] = (
    None,
    ["woodcut.png"],
    [],
    ["oil.png", "s3://bucket/ink.png"],
    None,
    ["a.png", "a.png"],
    [PIXEL],
)
WIDTHS = (None, 512, 1024, None, 1536, 768, 528)
HEIGHTS = (None, 1536, None, 512, 640)
STEPS = (None, 1, 25, 50, None, 12, 13)
GUIDANCE = (None, 4.0, 1.0, 5.0, 3.5, None, 2.25, 4.1)
SEEDS = (None, -1, 0, 42, None, 2**31 - 9, -1, 7, None)
KEEP = (None, True, False, None, False)
LONG_SIZES = (None, 0, 512, 1024, 333)
IMAGES = (None, 1, 2, None, 8, 1, 3)
WEIGHTS = ("none", "none", "ones", "mixed", "none", "zeros", "empty", "none", "one missing", "none")

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("content_image", pa.string()),
        ("style_image", pa.string()),
        ("extra_style_image", pa.string()),
        ("style_images", pa.list_(pa.string())),
        ("style_weights", pa.list_(pa.float64())),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("num_steps", pa.int64()),
        ("guidance", pa.float64()),
        ("seed", pa.int64()),
        ("keep_size", pa.bool_()),
        ("content_long_size", pa.int64()),
        ("num_images", pa.int64()),
        ("bucket", pa.int64()),
        ("status", pa.string()),
        ("manifest_status", pa.string()),
        ("model", pa.float64()),
    ]
)

IDS: tuple[str | None, ...] = (
    "cat-1",
    "Cat-1",
    "photos/cat 1.jpg",
    "größe-🦊",
    "007",
    "-7",
    "x" * 256,
    "row_1",
    "row-0123456789abcdef01234567",
    "..",
    " ",
    "a\nb",
    "CON",
    None,
)


def texts() -> pa.Table:
    """Make rows in which each column cycles through its values at its own pace, then repeats."""
    rows = [_row(n) for n in range(ROWS)]
    return pa.Table.from_pylist([*rows, *_repeats()], schema=SCHEMA)


def own_names() -> pa.Table:
    """Make rows under a user's column names, with the alias `reference_images`."""
    names = {"id": "image_id", "prompt": "caption", "content_image": "file_name"}
    table = texts().slice(0, 24)
    table = table.rename_columns([names.get(name, name) for name in table.schema.names])
    table = table.rename_columns(
        ["reference_images" if name == "style_images" else name for name in table.schema.names]
    )
    return table.append_column("prompt", pa.array([f"not {n}" for n in range(len(table))]))


def _row(n: int) -> dict[str, Any]:
    row = {
        "id": IDS[n] if n < len(IDS) else (None if n % 9 == 4 else f"row-{n:04d}"),
        "prompt": PROMPTS[n % len(PROMPTS)],
        "content_image": CONTENT[n % len(CONTENT)],
        "style_image": STYLE[n % len(STYLE)],
        "extra_style_image": EXTRA[n % len(EXTRA)],
        "style_images": STYLES[n // 2 % len(STYLES)],
        "width": WIDTHS[n % len(WIDTHS)],
        "height": HEIGHTS[n // 3 % len(HEIGHTS)],
        "num_steps": STEPS[n // 2 % len(STEPS)],
        "guidance": GUIDANCE[n % len(GUIDANCE)],
        "seed": SEEDS[n % len(SEEDS)],
        "keep_size": KEEP[n // 2 % len(KEEP)],
        "content_long_size": LONG_SIZES[n // 4 % len(LONG_SIZES)],
        "num_images": IMAGES[n // 2 % len(IMAGES)],
        "bucket": n % 7,
        "status": None if n % 3 else f"kept {n}",
        "manifest_status": "too" if n % 2 else None,
        "model": n / 8,
    }
    return row | {"style_weights": _weights(n, row)}


def _weights(n: int, row: dict[str, Any]) -> list[float] | None:
    singles = (row["style_image"], row["extra_style_image"])
    count = sum(bool(style) for style in singles) + len(row["style_images"] or ())
    kind = WEIGHTS[n % len(WEIGHTS)]
    if kind == "none":
        return None
    made: dict[str, list[float]] = {
        "ones": [1.0] * count,
        "mixed": list(islice(cycle([0.5, 1.0, 2.0, 1e-3]), count)),
        "zeros": [0.0] * count,
        "empty": [],
        "one missing": [1.0] * (count - 1),
    }
    return made[kind]


def _repeats() -> list[dict[str, Any]]:
    """Make repeated rows without an id, repeated ids, and an id that a repeat would get."""
    nameless = {"prompt": "drawn again", "seed": 5}
    signed = {"content_image": "https://example.org/a.jpg?Signature=1", "prompt": "signed"}
    again = {"content_image": "https://example.org/a.jpg?Signature=2", "prompt": "signed"}
    return [
        nameless,
        nameless,
        nameless | {"guidance": None},
        nameless | {"style_weights": [1.0], "style_image": "a.png"},
        nameless | {"style_image": "a.png"},
        {"id": "twice~2", "prompt": "in the way"},
        {"id": "twice", "prompt": "first"},
        {"id": "twice", "prompt": "second"},
        {"id": "twice", "prompt": "second"},
        signed,
        again,
        {"prompt": None},
        {},
    ]
