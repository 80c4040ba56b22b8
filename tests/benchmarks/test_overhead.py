from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.driver_cpu import Sample, steady
from benchmarks.overhead import actor_costs, driver_costs
from benchmarks.scale import Run, conclusion


def test_every_stage_of_the_driver_and_of_an_actor_has_its_cost(tmp_path: Path) -> None:
    driver = dict(driver_costs(tmp_path, 40))
    assert list(driver)[:2] == ["read, parse, look up", "dispatch"]
    assert all(0 < cost_s < 1 for cost_s in driver.values())
    actor = dict(actor_costs(tmp_path, rounds=1))
    assert len(actor) == 4
    assert all(cost_s < 10 for cost_s in actor.values())


def test_start_and_end_of_a_run_are_left_out() -> None:
    samples = [Sample(rows, at_s, 0, 0) for at_s, rows in enumerate((0, 10, 25, 60, 100, 100))]
    first, last = steady(samples)
    assert (first.rows, last.rows, last.at_s) == (25, 100, 4)
    with pytest.raises(ValueError, match="too short"):
        steady([Sample(0, 0, 0, 0), Sample(100, 1, 0, 0)])


def test_what_one_driver_feeds_follows_from_two_paces() -> None:
    slow = Run(actors=16, work_s=1, rows_per_s=10, goodput=1, driver=0.05, ray=0.01)
    fast = Run(actors=32, work_s=0.2, rows_per_s=110, goodput=1, driver=0.15, ray=0.02)
    said = conclusion(slow, fast)
    assert "1000 µs of the driver's CPU and 100 µs" in said
    assert "feeds 2,400 GPUs" in said
