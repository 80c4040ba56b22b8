"""A short, fixed-seed part of `make chaos`: kills of a real run, behind a faulty S3."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.chaos.check import check_output
from benchmarks.chaos.deck import FaultDeck
from benchmarks.chaos.faults import FAULTS, ON_NODES
from benchmarks.chaos.inputs import Inputs
from benchmarks.chaos.report import RoundResult, table
from benchmarks.chaos.rounds import Disturbance
from benchmarks.chaos.session import Plan, run_rounds
from benchmarks.chaos.stores import Scheme

INPUTS = Inputs("s3://b/m.parquet", "b", ("a", "b", "c"), {"c": "uri_not_found"})


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.timeout(900)
def test_what_is_killed_loses_nothing(tmp_path: Path) -> None:
    plan = Plan(rounds=1, rows=24, faults=2, seconds=240, seed=5, alone_every=1)
    (result,) = run_rounds(plan, tmp_path)
    assert result.violations == ()
    assert result.faults.total() >= 1


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", ["gs", "az"])
def test_other_stores_lose_nothing(tmp_path: Path, store: Scheme) -> None:
    # Without the undisturbed run, and with rows for a few seconds, so that a round is short.
    plan = Plan(
        1, rows=12, faults=1, seconds=120, seed=3, alone_every=1, store=store, compare=False
    )
    (result,) = run_rounds(plan, tmp_path)
    assert result.violations == ()


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
    """Return the violations in an output with these records and images."""
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


DECK = 33  # cards


def test_faults_come_evenly_and_in_an_order_of_the_seed() -> None:
    deck, same, other = FaultDeck(1), FaultDeck(1), FaultDeck(2)
    drawn = [deck.draw(on_nodes=True) for _ in range(2 * DECK)]
    assert drawn == [same.draw(on_nodes=True) for _ in range(2 * DECK)]
    assert drawn != [other.draw(on_nodes=True) for _ in range(2 * DECK)]
    times = Counter(drawn[DECK:])
    assert set(times) == set(FAULTS)
    assert times["actor paused"] == times["actor hangs"] == 2
    assert times["actor killed while it generates"] == times["Ray node killed"] == 4


def test_a_fault_that_needs_a_cluster_waits_for_one() -> None:
    deck = FaultDeck(1)
    alone = {deck.draw(on_nodes=False) for _ in range(200)}
    assert alone == set(FAULTS) - ON_NODES
    assert deck.draw(on_nodes=True) in ON_NODES


def test_a_fault_that_did_not_come_to_pass_is_dealt_again() -> None:
    deck, undisturbed = FaultDeck(1), FaultDeck(1)
    first = deck.draw(on_nodes=True)
    deck.put_back(first)
    drawn = Counter(deck.draw(on_nodes=True) for _ in range(DECK))
    assert drawn == Counter(undisturbed.draw(on_nodes=True) for _ in range(DECK))


@pytest.mark.parametrize(
    ("done", "over"),
    [
        ({"driver killed": 1, "actor paused": 3}, False),
        ({"driver killed": 2}, True),
        ({"actor paused": 5}, True),
    ],
)
def test_enough_kills_or_faults_end_the_disturbance(done: dict[str, int], over: bool) -> None:
    until = time.monotonic() + 60
    disturbance = Disturbance("round-0", "1/0", FaultDeck(1), faults=5, kills=2, until=until)
    assert disturbance.is_over(Counter(done)) is over


def test_what_a_round_lost_counts_for_all_that_was_done_in_it() -> None:
    cut, fine = Counter({"answer cut": 3}), Counter({"answer lost": 4})
    results = [
        RoundResult(Counter({"driver killed": 2}), runs=3, lost=1, faulty=cut),
        RoundResult(Counter({"actor hangs": 1}), runs=1, faulty=fine),
    ]
    lines = table(results).splitlines()
    assert "| driver killed | 2 | 1 | 0 | 0 | 0.0 |" in lines
    assert "| actor hangs | 1 | 0 | 0 | 0 | 0.0 |" in lines
    assert "| S3 request: answer cut | 3 | 1 | 0 | | |" in lines
    assert "| S3 request: answer lost | 4 | 0 | 0 | | |" in lines
