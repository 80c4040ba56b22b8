"""Draws the pictures of the README: photographs in the style of paintings, and the report on them.

    python -m examples.pictures            # or make pictures; needs Chromium

Runs `uso stylize` with the demo model over the demo's photographs and paintings, pastes five of the
results below their inputs, and takes a picture of the report in a browser.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps
from playwright.sync_api import ViewportSize

from tests.chromium import chromium

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "examples/demo"
SHOWN = ROOT / "docs/readme"

STRIP_BYTES = 150_000
REPORT_BYTES = 250_000

_CELL = 128  # pixels; the size of the demo model's images
_GAP = 4
_SCREEN: ViewportSize = {"width": 1280, "height": 800}
_QUALITIES = range(92, 60, -4)  # of JPEG
_TIMEOUT_MS = 120_000  # a busy machine
_SETTLING_MS = 2_000
_DECODED = """() => Promise.all(
  [...document.images]
    .filter(image => image.getBoundingClientRect().top < innerHeight)
    .map(image => image.decode()))"""


class Pair(NamedTuple):
    """A photograph and a painting of the demo, by the names of their files."""

    photo: str
    painting: str


PAIRS = (
    Pair("astronaut.jpg", "cafe-terrace.jpg"),
    Pair("cat.jpg", "church-at-auvers.jpg"),
    Pair("coffee.webp", "langlois-bridge.jpg"),
    Pair("rocket.jpg", "harvest.webp"),
    Pair("camera.png", "painter-on-the-road.jpg"),
)


def stylized(pairs: Sequence[Pair], out: Path) -> Path:
    """Draw every photograph of `pairs` in every painting; return the folder of the results."""
    photos = [str(DEMO / "photos" / pair.photo) for pair in pairs]
    styles = [f"--style={DEMO / 'paintings' / pair.painting}" for pair in pairs]
    command = (sys.executable, "-m", "jobs.cli", "stylize", *photos, *styles)
    options = ("--out", str(out), "--model", "demo", "--device", "cpu", "--workers", "0")
    subprocess.run((*command, *options), cwd=ROOT, check=True)  # noqa: S603 (its own files)
    return out / "pictures"


def strip(pairs: Sequence[Pair], results: Path) -> Image.Image:
    """Return a column for each pair: the photograph, the painting, and the result below them."""
    size = (len(pairs) * (_CELL + _GAP) - _GAP, 3 * (_CELL + _GAP) - _GAP)
    canvas = Image.new("RGB", size, "white")
    for column, (photo, painting) in enumerate(pairs):
        result = f"{Path(photo).stem}__{Path(painting).stem}.png"
        paths = (DEMO / "photos" / photo, DEMO / "paintings" / painting, results / result)
        for row, path in enumerate(paths):
            with Image.open(path) as image:
                cell = ImageOps.pad(
                    image.convert("RGB"), (_CELL, _CELL), Image.Resampling.LANCZOS, color="white"
                )
            canvas.paste(cell, (column * (_CELL + _GAP), row * (_CELL + _GAP)))
    return canvas


def screenshot(report: Path) -> Image.Image:
    """Return the first screen of a report."""
    with chromium() as browser:
        page = browser.new_page(viewport=_SCREEN, device_scale_factor=1)
        page.set_default_timeout(_TIMEOUT_MS)
        page.goto(report.as_uri())
        page.locator("img").first.wait_for(state="visible")
        page.wait_for_timeout(_SETTLING_MS)  # for the other images of the first screen
        page.evaluate(_DECODED)
        return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save_jpeg(image: Image.Image, path: Path, most_bytes: int) -> int:
    """Write a JPEG of at most `most_bytes`, in the best quality for that; return its size.

    Raises:
        ValueError: no quality is low enough.
    """
    for quality in _QUALITIES:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality, optimize=True)
        if len(data.getvalue()) <= most_bytes:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.getvalue())
            return len(data.getvalue())
    raise ValueError(f"{path}: larger than {most_bytes:,} bytes at any quality; show less")


def draw(pairs: Sequence[Pair], shown: Path) -> None:
    """Draw the pictures of the README into the folder `shown`."""
    with tempfile.TemporaryDirectory(prefix="uso-pictures-") as folder:
        out = Path(folder) / "stylized"  # the report shows this name
        results = stylized(pairs, out)
        drawn = {
            "strip.jpg": (strip(pairs, results), STRIP_BYTES),
            "report.jpg": (screenshot(out / "report/index.html"), REPORT_BYTES),
        }
    for name, (image, most_bytes) in drawn.items():
        size = save_jpeg(image, shown / name, most_bytes)
        print(f"{shown / name}: {image.width} x {image.height}, {size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the pictures of the README.")
    parser.add_argument("folder", nargs="?", type=Path, default=SHOWN, help="default: %(default)s")
    draw(PAIRS, parser.parse_args().folder)
