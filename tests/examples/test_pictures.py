"""The pictures of README.md: `make pictures`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.pictures import (
    PAIRS,
    REPORT_BYTES,
    ROOT,
    SHOWN,
    STRIP_BYTES,
    draw,
    save_jpeg,
    strip,
)

MOST_BYTES = {"strip.jpg": STRIP_BYTES, "report.jpg": REPORT_BYTES}


def test_the_readme_shows_them_before_its_first_heading() -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    shown = re.findall(r"!\[[^\]]+\]\(docs/readme/([^)]+)\)", first_screen)
    assert shown == list(MOST_BYTES)
    assert sorted(path.name for path in SHOWN.iterdir()) == sorted(MOST_BYTES)
    for name, most_bytes in MOST_BYTES.items():
        assert (SHOWN / name).stat().st_size <= most_bytes
        with Image.open(SHOWN / name) as image:
            assert image.format == "JPEG"


def test_a_column_has_the_photograph_the_painting_and_the_result(tmp_path: Path) -> None:
    Image.new("RGB", (128, 96), (10, 200, 30)).save(tmp_path / "cat__church-at-auvers.png")
    one = np.asarray(strip(PAIRS[1:2], tmp_path))
    assert one.shape == (392, 128, 3)
    assert (one[264 + 16 : -16] == (10, 200, 30)).all()  # whole, with white above and below
    assert (one[264 : 264 + 16] == 255).all()
    top, middle = (one[y : y + 60, 30:98].reshape(-1, 3).mean(0) for y in (34, 166))
    assert top[0] > top[2] + 20  # a ginger cat
    assert middle[0] < top[0] - 20  # below a blue sky
    assert (one[128:132] == 255).all()


def test_a_file_that_cannot_be_small_enough_is_refused(tmp_path: Path) -> None:
    grain = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    image = Image.fromarray(grain)
    best = save_jpeg(image, tmp_path / "a/best.jpg", 100_000)
    assert save_jpeg(image, tmp_path / "small.jpg", best - 1) < best
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        save_jpeg(image, tmp_path / "no.jpg", 100)
    assert not (tmp_path / "no.jpg").exists()


@pytest.mark.browser
@pytest.mark.timeout(240)  # a run in a process of its own, and a browser
def test_they_are_drawn_by_one_command(tmp_path: Path) -> None:
    draw(PAIRS[:1], tmp_path)
    with Image.open(tmp_path / "strip.jpg") as row:
        assert row.size == (128, 392)
        result = np.asarray(row)[264:]
    with Image.open(tmp_path / "report.jpg") as page:
        assert page.size == (1280, 800)
        screen = np.asarray(page)
    # Neither a blank result nor a blank page.
    assert result.std() > 10
    assert screen.std() > 10
