"""The demo's inputs: the committed Parquet file, the script that makes it, and the images."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

DEMO = Path(__file__).parents[2] / "examples" / "demo"
PICTURES = sorted([*DEMO.glob("photos/*"), *DEMO.glob("paintings/*")])


@pytest.fixture(scope="module")
def made() -> pa.Table:
    return runpy.run_path(str(DEMO / "make_manifest.py"))["table"]()


@pytest.fixture(scope="module")
def rows(made: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = made.to_pylist()
    return rows


def test_the_committed_manifest_is_the_one_that_the_script_makes(made: pa.Table) -> None:
    committed = pq.read_table(DEMO / "manifest.parquet")
    assert committed.schema.equals(made.schema)
    assert committed.equals(made)


def test_it_covers_every_mode(rows: list[dict[str, Any]]) -> None:
    good = [row for row in rows if not row["id"].startswith("fails-")]
    modes = {(row["content_image"] is not None, _styles(row)) for row in good}
    assert modes >= {(False, 0), (True, 0), (False, 1), (False, 2), (True, 1), (True, 2)}
    assert any(row["prompt"] == "" for row in good)
    assert any(row["keep_size"] for row in good)
    assert any(row["num_images"] == 2 for row in good)
    assert {row["seed"] is None for row in good} == {True, False}
    assert any((row["content_image"] or "").startswith("data:") for row in good)
    assert any(row["extra_style_image"] for row in good)
    assert len({row["id"] for row in rows}) == len(rows) == 16


def test_each_row_that_must_fail_says_with_which_code(rows: list[dict[str, Any]]) -> None:
    failing = {row["shows"] for row in rows if row["id"].startswith("fails-")}
    codes = ("uri_not_found", "image_corrupt", "invalid_request", "uri_refused")
    assert failing == {f"must fail: {code}" for code in codes}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_pictures_are_small_and_have_a_stated_source(path: Path) -> None:
    name = f"`{path.relative_to(DEMO).as_posix()}`"
    assert name in (DEMO / "SOURCES.md").read_text(encoding="utf-8")
    assert path.stat().st_size <= 60_000
    with Image.open(path) as image:
        assert max(image.size) <= 512
        assert not image.getexif()


def _styles(row: dict[str, Any]) -> int:
    singles = [row["style_image"], row["extra_style_image"]]
    return sum(single is not None for single in singles) + len(row["style_images"] or [])
