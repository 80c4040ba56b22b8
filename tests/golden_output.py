"""Write the inputs of the golden output: `python -m tests.golden_output FOLDER`."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from tests.golden_rows.texts import PIXEL

FOLDER = Path(__file__).parent / "goldens" / "output-0.1.0"
# Fingerprints depend on where the references are, so the folder is the same for everybody. Only
# the run that made the output needs it.
BASE = "/tmp/uso-golden"

CONFIG: dict[str, Any] = {
    "manifest": {"path": ["rows.parquet", "more.jsonl"], "base_uri": f"{BASE}/references"},
    "defaults": {"num_steps": 2, "width": 64, "height": 64, "content_long_size": 64},
    "model": {"base": "tiny", "device": "cpu"},
    "stylize": {"actors": 1, "gpus_per_actor": 0, "cpus_per_actor": 1, "seed": 3},
    "fetch": {"max_mb": 0.02, "max_megapixels": 1},
    "output": {"path": "output", "format": "webp", "quality": 80},
    "on_error": {"max_failed_fraction": 0.5},
}

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("content_image", pa.string()),
        ("style_image", pa.string()),
        ("style_images", pa.list_(pa.string())),
        ("style_weights", pa.list_(pa.float64())),
        ("width", pa.int64()),
        ("guidance", pa.float64()),
        ("seed", pa.int64()),
        ("keep_size", pa.bool_()),
        ("num_images", pa.int64()),
        ("status", pa.string()),
        ("taken_at", pa.timestamp("ns", "UTC")),
        ("tags", pa.list_(pa.string())),
        ("source", pa.struct([("name", pa.string()), ("score", pa.float32())])),
    ]
)
_ROWS: list[dict[str, Any]] = [
    {"id": "text", "prompt": "a cat in the snow", "status": "my own"},
    {"id": "Größe 1/2", "prompt": "ein Fuchs 🦊", "tags": ["fox", "größe"]},
    {"id": "content", "content_image": "ref0.png", "keep_size": True},
    {"id": "style", "prompt": "a boat", "style_image": "ref1.png", "guidance": 3.5},
    {"id": "both", "content_image": "ref0.png", "style_images": ["ref1.png", "./ref2.png"]},
    {"id": "weights", "style_images": ["ref1.png", "ref2.png"], "style_weights": [0.5, 1]},
    {"id": "ones", "style_images": ["ref1.png"], "style_weights": [1]},
    {"id": "images", "prompt": "three", "num_images": 3, "seed": 42},
    {"id": "wide", "prompt": "wide", "width": 96, "source": {"name": "a", "score": 0.5}},
    {"id": "inline", "content_image": PIXEL},
    {"id": "moment", "prompt": "", "taken_at": datetime(2026, 1, 1, tzinfo=timezone.utc)},
    {"prompt": "a row without an id"},
    {"prompt": "a row without an id"},
    {"id": "missing", "content_image": "no-such-file.png"},
    {"id": "cut", "content_image": "cut.jpg"},
    {"id": "page", "content_image": "page.jpg"},
    {"id": "refused", "content_image": "http://user:secret@127.0.0.1/a.jpg?token=1"},
    {"id": "pixels", "style_image": "pixels.png"},
    {"id": "megabytes", "style_image": "megabytes.png"},
    {"id": "width", "width": 9},
    {"id": "text", "prompt": "an id that an earlier row has"},
]
_MORE: list[dict[str, Any]] = [
    {"id": 1, "prompt": "an integer as id", "style_images": ["ref2.png"]},
    {"prompt": "no id", "content_image": "ref0.png", "tags": ["json"]},
    {"id": "json", "prompt": "its own size", "width": 48, "guidance": 4},
    {"id": "json-missing", "content_image": "no-such-file.png"},
    {"id": "json-weights", "style_images": ["ref1.png"], "style_weights": [1, 1]},
]


def write_inputs(folder: Path) -> None:
    """Write the manifest, the references and the configuration into a folder."""
    references = folder / "references"
    references.mkdir(parents=True, exist_ok=True)
    for n in range(3):
        image = Image.new("RGB", (48 + 16 * n, 48), (90 * n, 200 - 60 * n, 120))
        image.paste((255, 255, 255 - 80 * n), (8, 8, 24 + 8 * n, 32))
        image.save(references / f"ref{n}.png")
    noise = Image.effect_noise((96, 96), 80).convert("RGB")
    noise.save(references / "cut.jpg")
    whole = (references / "cut.jpg").read_bytes()
    (references / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (references / "page.jpg").write_text("<html><body>rate limited</body></html>")
    Image.new("1", (1200, 1200)).save(references / "pixels.png")
    noise.save(references / "megabytes.png")
    pq.write_table(pa.Table.from_pylist(_ROWS, schema=_SCHEMA), folder / "rows.parquet")
    lines = [json.dumps(row) for row in _MORE]
    (folder / "more.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (folder / "run.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    write_inputs(Path(sys.argv[1]))
