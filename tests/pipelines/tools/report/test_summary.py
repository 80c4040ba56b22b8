from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.record import record_schema
from pipelines.rows import Outcome, Timings
from pipelines.tools.report.rates import Bar
from pipelines.tools.report.summary import Summary, Tally
from tests.pipelines.tools.report.outputs import BEGAN, EXTRA, failed, record


def summary_of(*batches: list[dict[str, Any]]) -> Summary:
    with tempfile.TemporaryDirectory() as folder:
        tally = Tally(Path(folder))
        for records in batches:
            table = pa.Table.from_pylist(records, schema=record_schema(EXTRA))
            tally.add(table.combine_chunks().to_batches()[0])
        return tally.summary()


def completed(row_id: str, at: float = 0, inference: float = 1, images: int = 1) -> dict[str, Any]:
    outcome = Outcome(
        row_id=row_id,
        outputs=("x",) * images,
        sha256=("0",) * images,
        timings=Timings(fetch=1, inference=inference),
        worker=f"w-{row_id}",
    )
    return record(row_id, outcome, at=at)


def test_totals_and_failures_with_examples() -> None:
    many = [failed(f"f{n}", message=f"no\x1b {n}") for n in range(5)]
    summary = summary_of(
        [completed("a"), completed("b", images=2)], [*many, failed("g", "internal")]
    )
    assert (summary.rows, summary.completed, summary.failed, summary.images) == (8, 2, 6, 3)
    assert (summary.models, summary.workers) == (("tiny:0",), 2)
    first, second = summary.failures
    assert (first.code, first.rows, first.retryable) == ("uri_timeout", 5, True)
    assert [example.message for example in first.examples] == [
        "no\\x1b 0",
        "no\\x1b 1",
        "no\\x1b 2",
    ]
    assert (second.code, second.rows, second.stage) == ("internal", 1, "worker")


def test_only_workers_of_the_last_run_count() -> None:
    earlier = [completed(name) | {"run_id": "20251231T235959-r"} for name in "abc"]
    assert summary_of(earlier, [completed("d"), failed("e")]).workers == 1


def test_the_rate_counts_every_row_once_in_its_interval() -> None:
    rows = [completed(f"r{n}", at=n * 10) for n in range(100)]
    (rate,) = summary_of([*rows, failed("bad", at=995)]).rates
    assert (rate.began, rate.ended) == (BEGAN, BEGAN + timedelta(seconds=995))
    assert rate.step_s == 15
    assert len(rate.bars) == 67
    assert rate.rows == 101
    assert rate.bars[:2] == (Bar(2, 0), Bar(1, 0))
    assert rate.bars[-1] == Bar(1, 1)
    assert rate.highest == 2


@pytest.mark.parametrize("seconds", [0, 0.2, 95, 96, 86_400 * 95, 86_400 * 400, 86_400 * 4000])
def test_a_run_of_any_length_has_a_bounded_number_of_bars(seconds: float) -> None:
    (rate,) = summary_of([completed("a"), completed("b", at=seconds)]).rates
    assert 1 <= len(rate.bars) <= 97
    assert rate.rows == 2
    assert rate.seconds == seconds


def test_stages_have_their_share_without_rows_that_did_not_reach_them() -> None:
    rows = [completed(str(n), inference=n) for n in range(1, 101)]
    fetch, inference = summary_of([*rows, failed("x")]).stages
    assert (fetch.stage, fetch.rows, fetch.median) == ("fetch", 100, 1)
    assert inference.median == 50.5
    assert inference.p95 == pytest.approx(95.05, abs=1e-3)
    assert inference.longest == 100
    assert fetch.share + inference.share == pytest.approx(1)
    assert inference.share == pytest.approx(5050 / 5150)
