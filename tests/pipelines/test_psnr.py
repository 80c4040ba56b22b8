from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.psnr import Pixels, distance, psnr


def noise(height: int, width: int = 20, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(level: int, height: int = 5) -> Pixels:
    return np.full((height, 7, 3), level, np.uint8)


@pytest.mark.parametrize("height", [1, 63, 64, 65, 200])
def test_psnr_is_the_ratio_of_the_peak_to_the_mean_squared_difference(height: int) -> None:
    here, there = noise(height, seed=1), noise(height, seed=2)
    squares = np.mean((here.astype(np.float64) - there) ** 2)
    assert psnr(here, there) == pytest.approx(10 * math.log10(255**2 / squares), abs=1e-9)


def test_known_values() -> None:
    assert psnr(flat(100), flat(101)) == pytest.approx(20 * math.log10(255))
    assert psnr(flat(0), flat(255)) == 0
    assert psnr(flat(255), flat(0)) == 0


def test_one_level_of_one_pixel_counts() -> None:
    here = flat(9, height=130)
    there = here.copy()
    there[-1, -1, -1] += 1
    assert psnr(here, there) == pytest.approx(10 * math.log10(255**2 * here.size))


def test_equal_pictures_are_identical_instead_of_infinite() -> None:
    assert psnr(noise(70), noise(70)) == math.inf
    assert distance(noise(70), noise(70)) == "identical"
    assert distance(flat(3), flat(4)) == psnr(flat(3), flat(4))


def test_pictures_of_different_sizes_are_not_compared() -> None:
    assert distance(noise(20, 30), noise(30, 20)) == "different sizes"
    with pytest.raises(ValueError, match=r"\(20, 30, 3\) and \(30, 20, 3\)"):
        psnr(noise(20, 30), noise(30, 20))
    with pytest.raises(ValueError, match="no PSNR"):
        psnr(noise(0), noise(0))
