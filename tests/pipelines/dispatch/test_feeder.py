from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pipelines.dispatch.feeder import RowFeeder
from pipelines.rows import Entry, ManifestEntry, ManifestRow
from uso_core.request import Parameters


def entry(number: int, image: bytes | str | None = None) -> ManifestEntry:
    return Entry(ManifestRow(f"row-{number}", "", image, (), Parameters(seed=0), "f"))


def until(reached: Callable[[], bool]) -> None:
    """Wait for a thread to get somewhere."""
    end = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.001)


def taken(feeder: RowFeeder) -> list[str]:
    """The ids of all rows."""
    found: list[str] = []
    while not feeder.exhausted:
        found.extend(entry.row.id for entry in feeder.take(3))
    return found


class Counted:
    """Batches of rows; remembers how many were asked for."""

    def __init__(self, batches: list[list[ManifestEntry]]) -> None:
        self._batches = batches
        self.read = 0

    def __iter__(self) -> Iterator[list[ManifestEntry]]:
        for batch in self._batches:
            self.read += 1
            yield batch


def test_rows_come_in_order_from_batches_of_any_size() -> None:
    batches = [[], [entry(0)], [], [entry(n) for n in range(1, 200)], []]
    feeder = RowFeeder(iter(batches), ahead=5)
    assert taken(feeder) == [f"row-{n}" for n in range(200)]
    assert feeder.take(3) == []
    feeder.close()


@pytest.mark.parametrize(
    ("image", "ahead", "ahead_bytes", "expected"),
    [(None, 10, 10**9, 11), (bytes(1000), 10**9, 5000, 6), ("data:" + 995 * "x", 99, 5000, 6)],
    ids=["rows", "bytes", "text"],
)
def test_only_so_much_is_read_ahead(
    image: bytes | str | None, ahead: int, ahead_bytes: int, expected: int
) -> None:
    source = Counted([[entry(n, image)] for n in range(100)])
    feeder = RowFeeder(iter(source), ahead=ahead, ahead_bytes=ahead_bytes)
    until(lambda: source.read >= expected)
    # The reader holds the row beyond the bound, and reads no other before there is room for it.
    until(lambda: feeder.waiting == expected - 1)
    assert source.read == expected
    feeder.take(3)
    until(lambda: feeder.waiting == expected - 1)
    until(lambda: source.read == expected + 3)
    feeder.close()


def test_a_row_larger_than_the_bound_passes() -> None:
    feeder = RowFeeder(iter([[entry(n, bytes(100))] for n in range(3)]), ahead=9, ahead_bytes=10)
    assert len(taken(feeder)) == 3
    feeder.close()


def test_an_error_comes_after_the_rows_before_it() -> None:
    def failing() -> Iterator[list[ManifestEntry]]:
        yield [entry(0), entry(1)]
        raise OSError("gone")

    feeder = RowFeeder(failing(), ahead=9)
    found: list[str] = []
    while len(found) < 2:
        found.extend(entry.row.id for entry in feeder.take(1))
    assert found == ["row-0", "row-1"]
    assert not feeder.exhausted
    with pytest.raises(OSError, match="gone"):
        until(lambda: bool(feeder.take(1)))
    feeder.close()


def test_closing_does_not_wait_for_a_store_that_is_away() -> None:
    answered = threading.Event()

    def away() -> Iterator[list[ManifestEntry]]:
        yield [entry(0)]
        answered.wait(60)
        yield [entry(1)]

    before = set(threading.enumerate())
    feeder = RowFeeder(away(), ahead=9)
    until(lambda: bool(feeder.take(1)))
    began = time.monotonic()
    feeder.close()
    assert time.monotonic() - began < 5
    answered.set()
    until(lambda: set(threading.enumerate()) <= before)


@pytest.mark.parametrize("batch", [[], [entry(0)]], ids=["rows-left-out", "full"])
def test_closing_ends_a_thread_that_has_no_end(batch: list[ManifestEntry]) -> None:
    def endless() -> Iterator[list[ManifestEntry]]:
        while True:
            yield batch

    before = set(threading.enumerate())
    feeder = RowFeeder(endless(), ahead=2)
    feeder.close()
    assert set(threading.enumerate()) <= before
