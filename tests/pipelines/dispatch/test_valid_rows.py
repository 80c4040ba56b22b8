from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from pipelines.dispatch.feeder import RowFeeder, ValidRows
from pipelines.failures import Failure
from pipelines.rows import Entry, ManifestEntry, ManifestRow, RejectedRow
from uso_core.request import Parameters


def rejected(count: int) -> list[ManifestEntry]:
    failure = Failure("invalid_request", "no")
    return [Entry(RejectedRow(f"bad {n}", failure, "f")) for n in range(count)]


def valid(row_id: str) -> ManifestEntry:
    return Entry(ManifestRow(row_id, "", None, (), Parameters(), "f"))


@contextmanager
def source(entries: list[ManifestEntry]) -> Iterator[tuple[ValidRows, list[str]]]:
    """The rows, all read, and the ids of the rejected ones."""
    passed: list[str] = []
    with closing(RowFeeder(iter([entries]), ahead=10_000)) as feeder:
        feeder._thread.join()
        yield ValidRows(feeder, lambda _, row: passed.append(row.id)), passed


def test_rejected_rows_keep_no_worker_waiting() -> None:
    with source([valid("a"), *rejected(200), valid("b")]) as (rows, passed):
        assert [entry.row.id for entry in rows.take(1)] == ["a"]
        assert [entry.row.id for entry in rows.take(1)] == ["b"]
        assert len(passed) == 200
        assert rows.exhausted


def test_a_bounded_number_of_rows_is_passed_at_once() -> None:
    with source(rejected(1000)) as (rows, passed):
        assert rows.take(1) == []
        assert len(passed) == 256
        assert not rows.look_ahead()
        assert len(passed) == 512


def test_looking_ahead_takes_nothing() -> None:
    with source([*rejected(3), valid("a"), valid("b")]) as (rows, passed):
        assert rows.look_ahead()
        assert rows.look_ahead()
        assert [entry.row.id for entry in rows.take(5)] == ["a", "b"]
        assert passed == ["bad 0", "bad 1", "bad 2"]
        assert rows.take(5) == []
