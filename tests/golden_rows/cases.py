"""The files of rows and the configurations that read them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.golden_rows import invalid, lines, texts, types

FOLDER = Path(__file__).parents[1] / "goldens" / "rows"
GOLDEN = FOLDER / "golden.json"

TABLES: dict[str, Callable[[], pa.Table]] = {
    "texts.parquet": texts.texts,
    "own_names.parquet": texts.own_names,
    "numbers.parquet": types.numbers,
    "unusual.parquet": types.unusual,
    "floats.parquet": types.floats,
    "pictures.parquet": types.pictures,
    "own_columns.parquet": types.own_columns,
    "invalid.parquet": invalid.invalid,
}
LINES: dict[str, Callable[[], bytes]] = {
    "rows.csv": lines.csv_file,
    "rows.jsonl": lines.json_lines,
    "eval.json": lines.eval_list,
}


@dataclass(frozen=True)
class Case:
    """One configuration and the files that it reads.

    Attributes:
        files: names in the folder of the goldens; a case with records has one file.
        sections: sections of the configuration, without the paths of the manifest and the output.
        model: the model's fingerprint.
        is_tiny: True if the limits are those of the tiny model.
        has_records: True if the golden file has the records, False if it has only the identities.
    """

    files: tuple[str, ...]
    sections: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    model: str = "0123abcd"
    is_tiny: bool = False
    has_records: bool = False


def _of_texts(rows: int = 12, /, **sections: dict[str, Any]) -> Case:
    manifest = {"limit": rows} | sections.pop("manifest", {})
    return Case(("texts.parquet",), {**sections, "manifest": manifest})


_CAPTIONS = {"prompt": "caption", "content_image": "file_name", "id": "image_id"}

CASES: dict[str, Case] = {
    **{name.partition(".")[0]: Case((name,), has_records=True) for name in TABLES},
    "own_names": Case(
        ("own_names.parquet",),
        {"manifest": {"columns": _CAPTIONS, "keep_columns": ["model", "prompt"]}},
        has_records=True,
    ),
    "csv": Case(("rows.csv",), has_records=True),
    "jsonl": Case(("rows.jsonl",), has_records=True),
    "eval": Case(("eval.json",), {"manifest": {"format": "eval_json"}}, has_records=True),
    "several files": Case(("numbers.parquet", "texts.parquet", "rows.csv")),
    "another model": Case(("texts.parquet",), {"manifest": {"limit": 12}}, model="4567"),
    "tiny model": Case(("texts.parquet",), is_tiny=True),
    "exact": _of_texts(model={"preset": "exact"}),
    "fp8": _of_texts(model={"preset": "fp8"}),
    "fp8+cache": _of_texts(model={"preset": "fp8+cache"}),
    "draft": _of_texts(50, model={"preset": "draft"}),
    "draft, threshold": _of_texts(model={"preset": "draft", "cache_threshold": 0.2}),
    "low_vram": _of_texts(model={"preset": "low_vram"}),
    "tiny_vram": _of_texts(model={"preset": "tiny_vram"}),
    "attention": _of_texts(model={"attention": "sdpa"}),
    "attention, draft": _of_texts(model={"attention": "flash_3", "preset": "draft"}),
    "compiled": _of_texts(model={"compile": True}),
    "png": _of_texts(output={"format": "png", "quality": 50}),
    "webp": _of_texts(output={"format": "webp"}),
    "webp, quality": _of_texts(output={"format": "webp", "quality": 80}),
    "webp, lossless": _of_texts(output={"format": "webp", "lossless": True, "quality": 80}),
    "jpeg": _of_texts(output={"format": "jpeg", "lossless": True}),
    "jpeg, quality": _of_texts(output={"format": "jpeg", "quality": 80}),
    "seed": _of_texts(50, stylize={"seed": 7}),
    "not rotated": _of_texts(fetch={"exif_rotate": False}),
    "base folder": _of_texts(50, manifest={"base_uri": "/data/./photos"}),
    "base s3": _of_texts(50, manifest={"base_uri": "s3://bucket/images/"}),
    "base https": _of_texts(50, manifest={"base_uri": "https://user:pw@example.org/images"}),
    "no own columns": _of_texts(manifest={"keep_columns": "none"}),
    "shard": Case(("texts.parquet",), {"manifest": {"shard": "1/3"}}),
    "defaults": _of_texts(
        60,
        defaults={
            "prompt": "by default",
            "content_image": "default.jpg",
            "style_image": "s3://bucket/default.png",
            "extra_style_image": "extra.png",
            "style_images": ["one.png", "two.png"],
            "width": 768,
            "height": 512,
            "num_steps": 9,
            "guidance": 3,
            "keep_size": True,
            "content_long_size": 256,
            "num_images": 2,
        },
    ),
    "default seed": _of_texts(defaults={"seed": 77}),
    "default of -1": _of_texts(defaults={"seed": -1}),
    "mapped to another column": _of_texts(manifest={"columns": {"prompt": "status"}}),
}


def file_bytes(name: str) -> bytes:
    """Make the content of a file."""
    if name in LINES:
        return LINES[name]()
    sink = io.BytesIO()
    pq.write_table(TABLES[name](), sink, compression="zstd")
    return sink.getvalue()
