"""The choice of the runs that start Ray before their inputs are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.early_ray import early_ray, will_generate
from tests.pipelines.manifests import config


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a"}\n')
    return path


def given(rows: Path, **sections: Any) -> Any:
    output = {"path": str(rows.parent / "out")}
    return config(rows, **{"output": output, "model": {"base": "tiny"}, **sections})


def test_a_run_with_all_its_inputs_here_and_no_records_will_generate(rows: Path) -> None:
    assert will_generate(given(rows))
    (rows.parent / "out" / "images").mkdir(parents=True)
    assert will_generate(given(rows))
    assert will_generate(given(rows, model={"base": str(rows.parent)}))


@pytest.mark.parametrize(
    "sections",
    [
        {"output": {"path": "s3://bucket/out"}},
        {"manifest": {"path": ["/no/such/rows.parquet"]}},
        {"manifest": {"path": "s3://bucket/rows.parquet"}},
        {"model": {"base": "/no/such/model"}},
        {"model": {"base": "s3://bucket/model"}},
    ],
)
def test_other_runs_may_not(rows: Path, sections: dict[str, Any]) -> None:
    assert not will_generate(given(rows, **sections))


def test_a_run_that_resumes_may_have_nothing_to_do(rows: Path) -> None:
    (rows.parent / "out" / "records").mkdir(parents=True)
    assert not will_generate(given(rows))


@pytest.mark.parametrize("address", ["none", "auto", "127.0.0.1:6379"])
def test_only_a_ray_of_the_run_s_own_starts_early(rows: Path, address: str) -> None:
    assert early_ray(given(rows, ray={"address": address})) is None
