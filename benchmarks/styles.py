"""Measures what mixed styles do to the palette of an image, with the demo model.

`python -m benchmarks.styles` prints the table of docs/styles.md. Each pair of the demo's paintings
is mixed in several ways over each photograph. The palette of a mixed result, eight colours by
luminance, is compared with those of the two styles alone: the share is its place on the line
between them (0: the first style, 1: the second), and the rest how far from that line, in units of
its length.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from pipelines.worker.scores.measures import palette
from uso_core import EncodedStyle, StylizeRequest, USOPipeline

DEMO = Path(__file__).parent.parent / "examples" / "demo"
PHOTOS = ("cat.jpg", "astronaut.jpg", "rocket.jpg")
PAINTINGS = ("harvest.webp", "cafe-terrace.jpg", "church-at-auvers.jpg", "langlois-bridge.jpg")
STEPS = 4

Styles = tuple[list[EncodedStyle], list[float]]
Mix = Callable[[Image.Image, Image.Image], Styles]
Colours = npt.NDArray[np.float64]


def ways(pipeline: USOPipeline) -> Iterator[tuple[str, Mix]]:
    """Yield each way of mixing two images, with its name."""

    def pooled(first: float, second: float) -> Mix:
        return lambda a, b: ([pipeline.encode_styles([a, b], [first, second])], [1.0])

    def listed(first: float, second: float) -> Mix:
        return lambda a, b: (
            [pipeline.encode_styles([a]), pipeline.encode_styles([b])],
            [first, second],
        )

    for first, second in ((3, 1), (1, 1), (1, 3)):
        yield f"one style, mean {first}:{second}", pooled(first, second)
    for first, second in ((1, 0.5), (1, 1), (0.5, 1)):
        yield f"two styles, weights {first:g} and {second:g}", listed(first, second)
    yield "two styles, the other first", lambda a, b: listed(1, 1)(b, a)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=len(PHOTOS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = USOPipeline.demo()
    photos = [Image.open(DEMO / "photos" / name) for name in PHOTOS[: chosen.photos]]
    paintings = [Image.open(DEMO / "paintings" / name) for name in PAINTINGS]
    alone = [
        [_colours(pipeline, photo, ([pipeline.encode_styles([each])], [1.0])) for each in paintings]
        for photo in photos
    ]
    print("| mixed as | share of the second | off the line |\n|---|---|---|")
    for name, mix in ways(pipeline):
        found = []
        for place, photo in enumerate(photos):
            for a, b in combinations(range(len(paintings)), 2):
                mixed = _colours(pipeline, photo, mix(paintings[a], paintings[b]))
                found.append(_on_line(mixed, alone[place][a], alone[place][b]))
        print(f"| {name} | {_spread([t for t, _ in found])} | {_spread([r for _, r in found])} |")


def _colours(pipeline: USOPipeline, photo: Image.Image, styles: Styles) -> Colours:
    encoded, weights = styles
    request = StylizeRequest(
        content_image=photo,
        style_images=encoded,
        style_weights=weights,
        num_steps=STEPS,
        seed=1,
        **pipeline.limits.defaults,
    )
    return palette(np.asarray(pipeline([request])[0].image)).ravel()


def _on_line(mixed: Colours, first: Colours, second: Colours) -> tuple[float, float]:
    """Return the share of the second palette, and the distance from the line between both."""
    line = second - first
    length = float(line @ line)
    share = float((mixed - first) @ line) / length
    rest = mixed - first - share * line
    return share, float(np.sqrt((rest @ rest) / length))


def _spread(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
