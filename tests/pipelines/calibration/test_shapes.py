from __future__ import annotations

from typing import Any

import pytest

from pipelines.calibration.shapes import Shape
from pipelines.rows import ManifestRow
from uso_core.loading.dimensions import Dimensions
from uso_core.request import Limits, Parameters


def row(content: str | None = None, styles: int = 0, **numbers: Any) -> ManifestRow:
    return ManifestRow("r", "", content, ("s",) * styles, Parameters(**numbers), "f")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (row(), Shape(1024, 1024, 0, 0, 25, 1)),
        (row(width=512), Shape(512, 1024, 0, 0, 25, 1)),
        (row("c", 1), Shape(1024, 1024, 512, 1, 25, 1)),
        (row("c", width=512, height=768, num_steps=4, num_images=3), Shape(512, 768, 512, 0, 4, 3)),
        (row("c", height=768), Shape(768, 768, 512, 0, 25, 1)),
        (row("c", width=512, height=512, keep_size=True), Shape(1024, 1024, 512, 0, 25, 1)),
        (row("c", content_long_size=0), Shape(1024, 1024, 0, 0, 25, 1)),
    ],
)
def test_the_shape_of_a_row(given: ManifestRow, expected: Shape) -> None:
    assert Shape.of(given, Limits()) == expected


def test_an_image_of_flux_dev_at_25_steps() -> None:
    shape = Shape(1024, 1024, 512, 1, 25, 1)
    assert shape.tokens(Dimensions()) == 5824
    assert shape.flops(Dimensions()) == pytest.approx(2474e12, rel=1e-3)
    twice = Shape(1024, 1024, 512, 1, 25, 2)
    assert twice.flops(Dimensions()) == 2 * shape.flops(Dimensions())
