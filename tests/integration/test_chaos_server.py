"""A short, fixed-seed part of `python -m benchmarks.chaos.server`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.server import Plan, run_round


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    result = run_round(Plan(kills=3, tasks=24, seed=2), tmp_path)
    assert result.findings.violations == []
    assert result.findings.tasks == 24
    assert result.starts > 1
