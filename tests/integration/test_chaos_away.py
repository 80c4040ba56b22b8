"""A round of each kind of `python -m benchmarks.chaos.away`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.away import run_away, summary

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize(("paused", "vanishing"), [(1, 0), (0, 1)], ids=["paused", "vanishing"])
def test_nothing_is_lost_doubled_or_wrong(tmp_path: Path, paused: int, vanishing: int) -> None:
    (result,) = run_away(paused, vanishing, seed=5, folder=tmp_path)
    assert result.violations == ()
    assert result.runs == 2
    zero = "1 rounds, 2 runs: 0 rows lost, 0 doubled, 0 wrong hashes, 0 violations"
    assert summary([result]) == zero
