from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from pipelines.config.output import OutputConfig
from pipelines.driver import recorder as recorder_module
from pipelines.driver.recorder import Recorder
from pipelines.failures import Failure
from pipelines.ledger.ledger import Ledger, count_records
from pipelines.record import RunFacts
from pipelines.rows import Entry, ManifestRow, Outcome, RejectedRow
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, failed, fingerprint, stored
from uso_core.request import Parameters

_FAILURE = Failure("invalid_request", "no")
_FACTS = RunFacts(run_id="r", model="tiny:0", preset="exact")


class HeldStorage(Storage):
    """A store whose writes do not end before they are let through."""

    def __init__(self, url: str) -> None:
        super().__init__(url, {})
        self.through = threading.Event()

    def write(self, path: str, data: bytes | memoryview) -> str:
        assert self.through.wait(20)
        return super().write(path, data)


@pytest.fixture
def store() -> HeldStorage:
    return HeldStorage(f"memory://recorder-{time.monotonic_ns()}")


NOW = datetime.now(timezone.utc)


def ours() -> None:
    """Confirm that the output is this driver's."""


@pytest.fixture
def recorder(store: HeldStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Commits each row; five that wait are many."""
    monkeypatch.setattr(recorder_module, "_MANY_ROWS", 4)
    monkeypatch.setattr(recorder_module, "_PAUSE_S", 0.2)
    ledger = Ledger.open(store, SCHEMA)
    recorder = Recorder(ledger, _FACTS, OutputConfig(path="unused", commit_rows=1), ours)
    yield recorder
    store.through.set()
    recorder.close()


def add(recorder: Recorder, *names: str) -> None:
    for name in names:
        row = RejectedRow(name, _FAILURE, fingerprint(name))
        outcome = Outcome(row_id=name, failure=_FAILURE)
        recorder.add(Entry(row, {"note": None}, None), outcome, 1, NOW)


def seconds_of_commit_if_due(recorder: Recorder) -> float:
    began = time.monotonic()
    recorder.commit_if_due()
    return time.monotonic() - began


def test_a_slow_commit_is_waited_for_only_where_many_rows_wait(
    recorder: Recorder, store: HeldStorage
) -> None:
    add(recorder, "a")
    recorder.commit_if_due()
    add(recorder, *"bcde")
    assert seconds_of_commit_if_due(recorder) < 0.1
    add(recorder, "f")
    assert seconds_of_commit_if_due(recorder) >= 0.2
    assert recorder.waiting == 5

    store.through.set()
    recorder.flush()
    assert recorder.waiting == 0
    assert count_records(store).failed == 6


def test_a_record_replaces_one_that_was_made_with_a_clock_ahead_of_this_one(
    store: HeldStorage,
) -> None:
    store.through.set()
    ahead = datetime.now(timezone.utc) + timedelta(hours=1)
    Ledger.open(store, SCHEMA).append([failed("a", created_at=ahead)])
    ledger = Ledger.open(store, SCHEMA)
    with closing(Recorder(ledger, _FACTS, OutputConfig(path="unused"), ours)) as recorder:
        row = ManifestRow("a", "", None, (), Parameters(seed=0), fingerprint("a"))
        recorder.add(Entry(row, {"note": None}), Outcome(row_id="a"), 1, ledger.stamp())
        recorder.flush()
    assert count_records(store).completed == 1
    ledger.compact()
    assert [record["status"] for record in stored(store)] == ["completed"]


def test_the_wait_ends_with_the_commit(
    recorder: Recorder, store: HeldStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "_PAUSE_S", 30)
    add(recorder, "a")
    recorder.commit_if_due()
    add(recorder, *"bcdef")
    threading.Timer(0.05, store.through.set).start()
    assert seconds_of_commit_if_due(recorder) < 10
    assert recorder.waiting == 0
