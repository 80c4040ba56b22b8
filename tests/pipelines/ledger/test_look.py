"""A look at the records finds what a scan finds."""

from __future__ import annotations

import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import LedgerError
from pipelines.keys.quick import quick_hashes
from pipelines.ledger import doubts, look
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.left_out import ManifestLook, write_left_out
from pipelines.ledger.look import Look, look_at, look_in
from pipelines.ledger.part_columns import read_ahead
from pipelines.ledger.parts import list_parts
from pipelines.ledger.scan import scan_ledger
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, failed

CODES = ("uri_not_found", "uri_timeout", "image_corrupt")
RECORD = st.tuples(
    st.sampled_from([None, *CODES]),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 9)),
    st.one_of(st.none(), st.integers(0, 40)),
)
LOOK = ManifestLook("m.parquet", "run-1", "2026-01-01T00:00:00Z")


def record(
    number: int, code: str | None, again: bool, shared: int | None, at: int | None
) -> dict[str, Any]:
    row_id = f"row-{number}" if shared is None else f"shared-{shared}"
    if code is None:
        return completed(row_id, at=number if at is None else at)
    return failed(row_id, at=number if at is None else at, code=code, retryable=again)


def written(folder: str, parts: list[list[dict[str, Any]]]) -> Storage:
    """Return an output with these parts; an id may be in several of them."""
    storage = Storage.at(folder)
    for records in parts:
        Ledger.open(storage, SCHEMA).append(records)
    return storage


def counting_rows(storage: Storage, listed: set[str], until_us: int) -> tuple[list[bool], ...]:
    """The rows that win, and the ones that count, by the words of `dedup` and `LeftOut`."""
    reads = read_ahead(storage, list_parts(storage), ("id", "status", "created_at"))
    records = [row for read in reads for row in read.columns.to_pylist()]
    ranks = [(row["created_at"], row["status"] == "completed", n) for n, row in enumerate(records)]
    winners: dict[str, tuple[Any, ...]] = {}
    for row, rank in zip(records, ranks, strict=True):
        winners[row["id"]] = max(winners.get(row["id"], rank), rank)
    wins = [rank == winners[row["id"]] for row, rank in zip(records, ranks, strict=True)]
    until = datetime.fromtimestamp(until_us / 10**6, timezone.utc)
    out = [row["id"] in listed and row["created_at"] <= until for row in records]
    return wins, [won and not is_out for won, is_out in zip(wins, out, strict=True)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(RECORD, min_size=1, max_size=8), max_size=4),
    st.lists(st.integers(0, 40), max_size=4),
    st.integers(-1, 40),
)
def test_a_look_finds_what_a_scan_finds(
    drawn: list[list[Any]], listed: list[int], until: int
) -> None:
    parts = [
        [record(10 * part + place, *facts) for place, facts in enumerate(records)]
        for part, records in enumerate(drawn)
    ]
    ids = [f"row-{number}" for number in listed] + [f"shared-{number}" for number in listed]
    began = completed("a")["created_at"].timestamp()
    until_us = int(began + until) * 10**6
    with tempfile.TemporaryDirectory() as folder:
        storage = written(folder, parts)
        if ids:
            write_left_out(storage, iter([pa.array(sorted(set(ids)))]), until_us, LOOK)
        scan = scan_ledger(storage)
        found, expected = look_at(storage), Look.of(scan)
        wins, counting = counting_rows(storage, set(ids), until_us)
        assert found.counts == expected.counts
        assert list(found.counts.failed_by_code) == list(expected.counts.failed_by_code)
        assert (scan.wins.tolist(), found.counting.tolist()) == (wins, counting)
        assert look_in(storage, list_parts(storage)).counting.tolist() == wins
        assert (found.parts, found.num_rows) == (list(expected.parts), expected.num_rows)
        assert found.origins == expected.origins
        assert set(SCHEMA.names) <= found.written or not parts


def test_records_in_doubt_alone_are_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = written(str(tmp_path / "run"), [[completed("a"), failed("b")], [completed("c")]])
    again = written(str(tmp_path / "again"), [[failed("a", at=1)], [completed("a", at=2)]])
    assert look_at(again).counting.tolist() == [False, True]
    monkeypatch.delattr(doubts, "row_keys")
    assert look_at(storage).counting.tolist() == [True] * 3
    with pytest.raises(NameError):
        look_at(again)


def test_ids_that_share_a_hash_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = written(str(tmp_path), [[completed("a"), failed("b")], [completed("c")]])
    for module in (look, doubts):
        monkeypatch.setattr(module, "quick_hashes", lambda ids: quick_hashes(ids) % 2)
    assert look_at(storage).counting.tolist() == [True] * 3


def test_records_that_do_not_count(tmp_path: Path) -> None:
    storage = written(str(tmp_path), [[completed("a"), completed("b")]])
    write_left_out(storage, iter([pa.array(["b"])]), 10**18, LOOK)
    counts = look_at(storage).counts
    assert (counts.completed, counts.left_out, counts.look) == (1, 1, LOOK)


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    storage = written(str(tmp_path), [[completed("a")]])
    (path,) = (tmp_path / "records").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(LedgerError, match="not a complete Parquet file"):
        look_at(storage)
