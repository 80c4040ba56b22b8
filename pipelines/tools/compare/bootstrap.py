"""The uncertainty of a mean difference of pairs."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
NORMAL_FROM = 5_000
"""Pairs from which on the normal interval is taken, which the bootstrap then equals."""
_Z = 1.959963984540054  # the 97.5th percentile of the normal distribution
_SEED = 0
_DRAWN = 2_000_000  # values at a time, to bound memory

Values = npt.NDArray[np.float64]


def interval(differences: Values) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of paired differences.

    It is the percentile bootstrap: pairs are drawn with replacement, 10,000 times, by a generator
    with a fixed seed, so equal differences in the same order give the same interval.

    Args:
        differences: `[n]`, one for each pair, finite.

    Returns:
        The 2.5th and the 97.5th percentile; None for fewer than two pairs.
    """
    pairs = len(differences)
    if pairs < 2:
        return None
    if pairs >= NORMAL_FROM:
        mean, error = differences.mean(), differences.std(ddof=1) / math.sqrt(pairs)
        return float(mean - _Z * error), float(mean + _Z * error)
    low, high = np.quantile(_means(differences), (0.025, 0.975))
    return float(low), float(high)


def _means(differences: Values) -> Values:
    generator, pairs = np.random.default_rng(_SEED), len(differences)
    means = np.empty(RESAMPLES)
    step = max(1, _DRAWN // pairs)
    for start in range(0, RESAMPLES, step):
        drawn = means[start : start + step]
        drawn[:] = differences[generator.integers(0, pairs, (len(drawn), pairs))].mean(axis=1)
    return means
