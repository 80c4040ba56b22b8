"""Writes manifest.parquet, the demo's input: one row per mode, and four rows that must fail.

Run it after a change: `python examples/demo/make_manifest.py`. References are relative to the
manifest's own folder; where the pictures come from is in SOURCES.md.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("content_image", pa.string()),
        ("style_image", pa.string()),
        ("extra_style_image", pa.binary()),  # a column may hold the image files themselves
        ("style_images", pa.list_(pa.string())),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("seed", pa.int64()),
        ("keep_size", pa.bool_()),
        ("content_long_size", pa.int32()),
        ("num_images", pa.int32()),
        ("shows", pa.string()),  # a column of the user's own: it comes back in the records
    ]
)


def rows() -> list[dict[str, Any]]:
    """The manifest's rows; a column that a row leaves out is null, and gets its default."""
    return [*_text(), *_content(), *_styles(), *_inline(), *_must_fail()]


def _text() -> list[dict[str, Any]]:
    return [
        {
            "id": "text-only",
            "prompt": "A lighthouse on a cliff at dusk",
            "seed": 1,
            "shows": "a prompt alone, a fixed seed",
        },
        {
            "id": "text-two-images",
            "prompt": "A fox asleep in the snow",
            "num_images": 2,
            "shows": "two images from one row, a seed derived from the row's id",
        },
        {
            "id": "text-wide",
            "prompt": "A river delta from above",
            "width": 96,
            "height": 64,
            "shows": "an explicit size",
        },
    ]


def _content() -> list[dict[str, Any]]:
    return [
        {
            "id": "content-only",
            "prompt": "The cat wears a small straw hat",
            "content_image": "photos/cat.jpg",
            "shows": "a content image, the size inferred from it",
        },
        {
            "id": "content-empty-prompt",
            "prompt": "",
            "content_image": "photos/camera.png",
            "style_image": "paintings/painter-on-the-road.jpg",
            "shows": "an empty prompt keeps the layout; a grey photograph",
        },
        {
            "id": "content-keep-size",
            "prompt": "The rocket before a thunderstorm",
            "content_image": "photos/rocket.jpg",
            "keep_size": True,
            "content_long_size": 128,
            "shows": "the output in the content image's own proportions and size",
        },
    ]


def _styles() -> list[dict[str, Any]]:
    return [
        {
            "id": "style-only",
            "prompt": "A harbour with fishing boats",
            "style_image": "paintings/church-at-auvers.jpg",
            "shows": "one style reference",
        },
        {
            "id": "style-two",
            "prompt": "A village square on market day",
            "style_images": ["paintings/cafe-terrace.jpg", "paintings/harvest.webp"],
            "shows": "two style references, in order",
        },
        {
            "id": "content-and-style",
            "prompt": "A portrait of the astronaut",
            "content_image": "photos/astronaut.jpg",
            "style_image": "paintings/cafe-terrace.jpg",
            "seed": 42,
            "shows": "subject from a photograph, style from a painting",
        },
        {
            "id": "content-and-two-styles",
            "prompt": "A cup of coffee on a windowsill",
            "content_image": "photos/coffee.webp",
            "style_image": "paintings/langlois-bridge.jpg",
            "style_images": ["paintings/harvest.webp"],
            "shows": "style_image and style_images are joined, in this order",
        },
    ]


def _inline() -> list[dict[str, Any]]:
    cat = base64.b64encode((HERE / "photos/cat.jpg").read_bytes()).decode("ascii")
    return [
        {
            "id": "inline-data-uri",
            "prompt": "The cat as a statue",
            "content_image": f"data:image/jpeg;base64,{cat}",
            "shows": "a reference as a data: URI",
        },
        {
            "id": "inline-bytes",
            "prompt": "A bridge in the fog",
            "extra_style_image": (HERE / "paintings/langlois-bridge.jpg").read_bytes(),
            "shows": "a reference as bytes in the manifest",
        },
    ]


def _must_fail() -> list[dict[str, Any]]:
    return [
        {
            "id": "fails-missing-file",
            "prompt": "Nobody took this photograph",
            "content_image": "photos/no-such-file.jpg",
            "shows": "must fail: uri_not_found",
        },
        {
            "id": "fails-truncated-jpeg",
            "prompt": "Half a cat",
            "content_image": "photos/truncated.jpg",
            "shows": "must fail: image_corrupt",
        },
        {
            "id": "fails-width",
            "prompt": "A very wide panorama",
            "width": 100_000,
            "height": 64,
            "shows": "must fail: invalid_request",
        },
        {
            "id": "fails-private-address",
            "prompt": "What the neighbours have on their server",
            "style_image": "http://127.0.0.1/painting.jpg",
            "shows": "must fail: uri_refused",
        },
    ]


def table() -> pa.Table:
    """The manifest as an Arrow table."""
    return pa.Table.from_pylist(rows(), schema=SCHEMA)


if __name__ == "__main__":
    pq.write_table(table(), HERE / "manifest.parquet", compression="zstd")
