from __future__ import annotations

import pytest

from pipelines.calibration.measurements import Settings
from pipelines.calibration.shapes import Shape
from pipelines.calibration.stopwatch import Stopwatch
from pipelines.config.model import ModelConfig
from pipelines.failures import Failure
from pipelines.rows import ManifestRow, Outcome, Timings
from uso_core.loading.dimensions import Dimensions
from uso_core.request import Limits, Parameters

ROW = ManifestRow("r", "", None, (), Parameters(), "f")
SHAPE = Shape(1024, 1024, 0, 0, 25, 1)


def drawn(seconds: float, worker: str = "w1") -> Outcome:
    timings = Timings(fetch=9e9, condition=100, inference=seconds * 1e3 - 150, decode=50, store=9e9)
    return Outcome(row_id="r", timings=timings, worker=worker, device="H200")


def stopwatch() -> Stopwatch:
    return Stopwatch(Settings.of(Dimensions(), ModelConfig()), Limits())


def test_the_first_row_of_a_worker_is_warm_up() -> None:
    watch = stopwatch()
    for seconds, at_s in ((20.0, 80.0), (3.0, 84.0), (5.0, 90.0)):
        watch.settled(ROW, drawn(seconds), at_s)
    (machine,) = watch.machines()
    assert machine.startup_s == pytest.approx(60)
    assert machine.busy == pytest.approx(0.8)  # 8 of 10 s
    (time,) = machine.shapes
    assert (time.shape, time.rows) == (SHAPE, 2)
    assert time.seconds == pytest.approx(4)


def test_workers_are_merged_by_device() -> None:
    watch = stopwatch()
    for worker in ("w1", "w2"):
        watch.settled(ROW, drawn(2, worker), 10)
        watch.settled(ROW, drawn(2, worker), 14)
    watch.settled(ROW, Outcome(row_id="r", timings=drawn(1).timings, worker="w3", device="cpu"), 15)
    h200, cpu = watch.machines()
    assert h200.busy == pytest.approx(0.5)
    assert h200.rows == 2
    assert (cpu.device, cpu.rows, cpu.busy) == ("cpu", 1, 1.0)  # its only row, warm-up or not


def test_rows_without_an_image_are_not_measured() -> None:
    watch = stopwatch()
    failure = Failure("uri_timeout", "")
    watch.settled(ROW, Outcome(row_id="r", failure=failure, timings=Timings(fetch=1)), 1)
    assert watch.machines() == []
