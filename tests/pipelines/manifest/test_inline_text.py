"""Text that holds an image, or anything else but a path, is named and cut."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.config.schema import RunConfig
from pipelines.fetch.fetcher import Fetcher
from pipelines.tools.compose.table import table_rows
from tests.pipelines.fetch.fetchers import failure_of
from tests.pipelines.manifests import entries, rejected, valid, write
from tests.pipelines.pictures import encode, picture

FORMATS = {name.upper(): name for name in ("PNG", "JPEG", "WebP", "GIF", "TIFF", "BMP", "AVIF")}


def text_of(image_format: str, size: tuple[int, int] = (64, 64)) -> str:
    return base64.b64encode(encode(picture(*size), image_format)).decode()


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("column", ["content_image", "style_image", "style_images"])
def test_bare_base64_is_recognized(tmp_path: Path, image_format: str, column: str) -> None:
    text = text_of(image_format)
    cells = [text] if column != "style_images" else pa.array([["/a.png", text]])
    row = rejected(entries(write(tmp_path / "m.parquet", {column: cells}))[0])
    message = row.failure.message
    assert f"{FORMATS[image_format]} file in base64; put data:;base64," in message
    assert message.startswith(f"column {column}{'[1]' if column == 'style_images' else ''}: '")
    assert len(message) < 350


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_bare_base64_in_text_files(tmp_path: Path, ending: str) -> None:
    text = text_of("PNG", (400, 400))
    lines = {"csv": f"id,content_image\na,{text}\n", "jsonl": json.dumps({"content_image": text})}
    (tmp_path / f"m.{ending}").write_text(lines[ending], encoding="utf-8")
    message = rejected(entries(tmp_path / f"m.{ending}")[0]).failure.message
    assert "a PNG file in base64" in message
    assert len(message) < 350


def test_base64_in_lines_and_for_urls(tmp_path: Path) -> None:
    raw = encode(picture(64, 64))
    lines = base64.encodebytes(raw).decode()
    for_urls = base64.urlsafe_b64encode(raw).decode()
    found = entries(write(tmp_path / "m.parquet", {"content_image": [lines, for_urls]}))
    assert ["a PNG file in base64" in rejected(entry).failure.message for entry in found] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image/png;base64,iVBORw0KGgo=", "looks like a data: URI without data: at its beginning"),
        ("QUJD" * 2000, "these 8,000 characters look like base64; put data:;base64, before an"),
        ("a red cat. " * 1000, "these 11,000 characters look like no path"),
        ("/" + "x/y" * 2000 + ".png", "these 6,005 characters look like no path"),
    ],
)
def test_text_that_is_no_path(tmp_path: Path, text: str, words: str) -> None:
    row = rejected(entries(write(tmp_path / "m.parquet", {"content_image": [text]}))[0])
    assert words in row.failure.message
    assert len(row.failure.message) < 350


@pytest.mark.parametrize(
    "text",
    [
        "/9j/photo.jpg",
        "/9j/" + "a" * 100 + ".jpg",
        "Qk/" + "a" * 100 + ".png",
        "AAAA/" + "a" * 100,
        "Qkjob/" + "a" * 100,
        "x" * 200,
        "/" + "x" * 4095,
        "s3://bucket/" + "x" * 5000,
        "data:;base64," + "QUJD" * 2000,
    ],
)
def test_paths_and_uris_stay_accepted(tmp_path: Path, text: str) -> None:
    assert valid(entries(write(tmp_path / "m.parquet", {"content_image": [text]}))[0])


def test_an_endless_url_is_cut_in_the_failure() -> None:
    failure = failure_of(Fetcher(FetchConfig()), f"nope://host/{'x' * 100_000}")
    assert len(failure.message) < 2500
    assert failure.uri is not None
    assert failure.uri.endswith("… (100,012 characters)")


def test_a_made_manifest_keeps_the_text(tmp_path: Path) -> None:
    text = text_of("PNG", (400, 400))
    path = write(tmp_path / "t.parquet", {"content_image": [text, "a.png"], "prompt": ["p", "q"]})
    config = {"manifest": {"path": str(path)}, "output": {"path": "unused"}}
    rows = [
        row
        for batch in table_rows(RunConfig.model_validate(config)).batches
        for row in batch.to_pylist()
    ]
    assert [row["content_image"] for row in rows] == [text, f"{tmp_path}/a.png"]
    assert [row["id"] is None for row in rows] == [True, False]
