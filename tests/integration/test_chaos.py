"""A short, fixed-seed part of `make chaos`: kills of a real run, behind an S3 that misbehaves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.chaos.check import check_output
from benchmarks.chaos.inputs import Inputs
from benchmarks.chaos.session import Plan, run_rounds

INPUTS = Inputs("s3://b/m.parquet", "b", ("a", "b", "c"), {"c": "uri_not_found"})


@pytest.mark.ray
@pytest.mark.s3
@pytest.mark.timeout(900)
def test_what_is_killed_loses_nothing(tmp_path: Path) -> None:
    plan = Plan(rounds=1, rows=24, faults=2, seconds=60, seed=5, alone_every=1)
    (result,) = run_rounds(plan, tmp_path)
    assert result.violations == ()
    assert result.faults.total() >= 1


def completed(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "status": "completed",
        "outputs": [f"s3://b/out/images/{name}.png"],
        "sha256": [hashlib.sha256(name.encode()).hexdigest()],
        "error": None,
        "timings": {"condition": 1.0, "inference": 2.0, "decode": 1.0},
    }


def failed(name: str, code: str) -> dict[str, Any]:
    error = {"code": code, "message": "said"}
    return completed(name) | {"status": "failed", "outputs": [], "sha256": [], "error": error}


def violations(folder: Path, records: list[dict[str, Any]], images: tuple[str, ...]) -> list[str]:
    """What the check finds in an output with these records and images."""
    out = folder / "b" / "out"
    (out / "records").mkdir(parents=True)
    (out / "images").mkdir()
    pq.write_table(pa.Table.from_pylist(records), out / "records" / "part-0.parquet")
    for name in images:
        (out / "images" / f"{name}.png").write_bytes(name.encode())
    same = {name: tuple(completed(name)["sha256"]) for name in ("a", "b")}
    return check_output(folder, "s3://b/out", INPUTS, same).violations


def test_the_check_is_content_with_what_was_promised(tmp_path: Path) -> None:
    records = [completed("a"), completed("b"), failed("c", "uri_not_found")]
    assert violations(tmp_path, records, ("a", "b")) == []


A, B, C = completed("a"), completed("b"), failed("c", "uri_not_found")


@pytest.mark.parametrize(
    ("records", "images", "said"),
    [
        ([A, C], ("a",), "row b is lost"),
        ([A, A, B, C], ("a", "b"), "row a has several records"),
        ([A, B, C], ("a",), "is not as recorded"),
        ([A, B, C, completed("d")], ("a", "b", "d"), "row d is not in the manifest"),
        ([A, B, C], ("a", "b", "d"), "has no record"),
        ([A, B, completed("c")], ("a", "b", "c"), "row c ended with None, not uri_not_found"),
        ([A, failed("b", "internal"), C], ("a",), "row b ended with internal, not None"),
        ([A, completed("c") | {"id": "b"}, C], ("a", "c"), "row b differs"),
    ],
)
def test_the_check_sees_what_is_wrong(
    tmp_path: Path, records: list[dict[str, Any]], images: tuple[str, ...], said: str
) -> None:
    assert any(said in violation for violation in violations(tmp_path, records, images))
