"""A short, fixed-seed part of `make chaos`: kills of a real run, behind an S3 that misbehaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.chaos.session import Plan, run_rounds

pytestmark = [pytest.mark.ray, pytest.mark.s3, pytest.mark.timeout(900)]


def test_what_is_killed_loses_nothing(tmp_path: Path) -> None:
    plan = Plan(rounds=1, rows=24, faults=3, seconds=40, seed=5, alone_every=1)
    (result,) = run_rounds(plan, tmp_path)
    assert result.violations == ()
    assert result.faults.total() >= 1
