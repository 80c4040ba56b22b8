"""The interval is that of scipy's paired bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipelines.tools.compare.bootstrap import NORMAL_FROM, interval


@pytest.mark.parametrize("pairs", [2, 17, 400])
def test_it_is_scipys_percentile_interval(pairs: int) -> None:
    differences = np.random.default_rng(7).gamma(2.0, 1.0, pairs) - 1.5
    found = interval(differences)
    theirs = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=20_000, rng=3
    ).confidence_interval
    tolerance = 0.06 * differences.std() / pairs**0.5 + 1e-12
    assert found == pytest.approx((theirs.low, theirs.high), abs=2 * tolerance)
    assert interval(differences) == found


def test_many_pairs_get_the_normal_interval() -> None:
    differences = np.random.default_rng(8).gamma(2.0, 1.0, NORMAL_FROM)
    error = stats.sem(differences)
    expected = stats.norm.interval(0.95, differences.mean(), error)
    found = interval(differences)
    assert found == pytest.approx(expected, abs=1e-9)
    assert interval(differences[:-1]) == pytest.approx(expected, abs=0.1 * error)


def test_no_difference_is_certain_and_one_pair_says_nothing() -> None:
    assert interval(np.zeros(9)) == (0, 0)
    assert interval(np.array([1.0])) is None


def test_the_interval_covers_the_truth_about_19_times_of_20() -> None:
    generator = np.random.default_rng(9)
    hits = 0
    for _ in range(100):
        found = interval(generator.normal(0.3, 1.0, 60))
        assert found is not None
        hits += found[0] <= 0.3 <= found[1]
    assert 88 <= hits <= 100
