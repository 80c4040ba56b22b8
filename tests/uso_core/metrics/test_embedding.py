"""Vectors are computed once for each image, in batches."""

from __future__ import annotations

import pytest
import torch

from tests.uso_core.metrics.networks import Shown, picture
from uso_core.metrics.embedding import Embedder, cosine
from uso_core.metrics.pixels import Crop


class Counting:
    """A network that notes the sizes of its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(pixels))
        return pixels.mean((2, 3))


def embedder(remembered: int) -> tuple[Embedder, Counting]:
    network = Counting()
    return Embedder(network, Crop(16, 16), torch.device("cpu"), remembered=remembered), network


def test_an_image_that_comes_again_is_not_computed_again() -> None:
    embed, network = embedder(remembered=3)
    one, two, three = (Shown(picture(seed)) for seed in range(3))
    first = embed([one, two, one])
    assert torch.equal(first[0], first[2])
    again = embed([two, three, one])
    assert network.batches == [2, 1]
    assert torch.equal(again[0], first[1])
    assert torch.equal(again[2], first[0])


def test_the_oldest_image_is_forgotten() -> None:
    embed, network = embedder(remembered=2)
    one, two, three = (Shown(picture(seed)) for seed in range(3))
    embed([one, two])
    embed([one])  # now `two` is the oldest
    embed([three])
    embed([one])
    embed([two])
    assert network.batches == [2, 1, 1]


def test_more_images_than_are_remembered_are_all_answered() -> None:
    embed, _ = embedder(remembered=1)
    shown = [Shown(picture(seed)) for seed in range(4)]
    vectors = embed(shown)
    assert [len(each) for each in vectors] == [3] * 4
    assert not torch.equal(vectors[0], vectors[1])


def test_cosine_is_that_of_the_angle() -> None:
    east, north = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 3.0])
    assert cosine(east, north) == 0
    assert cosine(east, 5 * east) == 1
    assert cosine(east, -east) == -1
    assert cosine(east, east + north * 2 / 3) == pytest.approx(0.5**0.5)
