from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipelines.errors import LeaseHeldError, StorageError
from pipelines.ledger.heartbeat import LEASE_PATH, Heartbeat, read_holder, start_ticks
from pipelines.ledger.lease import Lease
from pipelines.storage.storage import Storage

STALE_S = 30.0


class Waiting:
    """A clock that advances only by its own sleeps, and runs `meanwhile` after each of them."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.now = 0.0
        self._meanwhile = meanwhile

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._meanwhile()


def lease(storage: Storage, run_id: str, waiting: Waiting | None = None) -> Lease:
    """A lease whose thread sends no heartbeat during a test: `refresh` does."""
    waiting = waiting or Waiting()
    return Lease(
        storage,
        run_id,
        heartbeat_s=3600,
        stale_s=STALE_S,
        clock=waiting.clock,
        sleep=waiting.sleep,
    )


def holder(storage: Storage) -> Heartbeat:
    found = read_holder(storage)
    assert found is not None
    return found


def put(storage: Storage, heartbeat: Heartbeat) -> None:
    storage.write(LEASE_PATH, json.dumps(asdict(heartbeat)).encode())


def wait_until(condition: Callable[[], bool], timeout_s: float = 10) -> bool:
    give_up_at = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < give_up_at:
        time.sleep(0.01)
    return condition()


def test_a_lease_is_held_inside_and_free_after(storage: Storage) -> None:
    with lease(storage, "run-1") as held:
        assert (holder(storage).run_id, holder(storage).pid) == ("run-1", os.getpid())
        assert not held.lost
    assert storage.list("run") == []


def test_the_heart_beats(storage: Storage) -> None:
    with Lease(storage, "run-1", heartbeat_s=0.01):
        first = holder(storage).beat
        assert wait_until(lambda: holder(storage).beat > first + 1)


def test_a_second_driver_is_refused_and_told_why(storage: Storage) -> None:
    with lease(storage, "run-1") as first:
        second = lease(storage, "run-2", Waiting(meanwhile=first.refresh))
        with pytest.raises(LeaseHeldError, match=r"run run-1, process \d+ on .*\. Let it finish"):
            second.__enter__()
        assert holder(storage).run_id == "run-1"


def test_the_lease_of_a_dead_process_is_taken_over_at_once(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    code = (
        "import os, signal, sys\n"
        "from pipelines.ledger.lease import Lease\n"
        "from pipelines.storage.storage import Storage\n"
        "Lease(Storage.at(sys.argv[1]), 'run-1').__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode < 0
    assert holder(storage).is_dead
    waiting = Waiting()
    with lease(storage, "run-2", waiting):
        assert holder(storage).run_id == "run-2"
    assert waiting.now == 0


def test_a_process_that_nobody_has_buried_yet_is_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mine = Heartbeat.of_this_process("run-1")
    theirs = replace(mine, pid=child.pid, ticks=start_ticks(child.pid))
    assert not theirs.is_dead
    child.kill()
    assert wait_until(lambda: theirs.is_dead)
    child.communicate()
    assert theirs.is_dead


@pytest.mark.parametrize("stepped_s", [-86_400, -11, 0, 11, 86_400])
def test_a_driver_is_alive_however_the_clock_was_stepped_since_it_started(
    storage: Storage, stepped_s: float
) -> None:
    mine = Heartbeat.of_this_process("run-1")
    # psutil adds the ticks to the time of the boot, which moves with the clock.
    before_the_step = replace(mine, started=mine.started - stepped_s)
    assert mine.ticks is not None
    assert not before_the_step.is_dead
    put(storage, before_the_step)
    assert read_holder(storage) == before_the_step


def test_another_process_with_the_same_pid_is_not_the_holder() -> None:
    mine = Heartbeat.of_this_process("run-1")
    assert mine.ticks is not None
    assert replace(mine, ticks=mine.ticks - 1).is_dead


@pytest.mark.parametrize(("started_before_s", "is_dead"), [(0, False), (9, False), (3600, True)])
def test_a_lease_of_an_older_version_has_only_the_time(
    storage: Storage, started_before_s: float, is_dead: bool
) -> None:
    mine = Heartbeat.of_this_process("run-1")
    fields = asdict(replace(mine, started=mine.started - started_before_s))
    del fields["ticks"]
    storage.write(LEASE_PATH, json.dumps(fields).encode())
    found = read_holder(storage)
    assert found is not None
    assert (found.run_id, found.ticks, found.is_dead) == ("run-1", None, is_dead)


def test_the_ticks_of_a_process_whose_name_has_spaces_and_parentheses(tmp_path: Path) -> None:
    named = tmp_path / "a) S (1 2"
    named.symlink_to("/bin/sleep")
    child = subprocess.Popen([str(named), "60"])
    try:
        assert start_ticks(child.pid) == pytest.approx(start_ticks(os.getpid()), abs=10**6)
        ticks = start_ticks(child.pid)
        assert ticks is not None
        assert ticks > 1000, "a field before or after would be a small number, or a large one"
    finally:
        child.kill()
        child.wait()
    assert start_ticks(2**22 + 1) is None


def test_a_process_elsewhere_is_never_called_dead() -> None:
    mine = Heartbeat.of_this_process("run-1")
    assert not replace(mine, machine="another", pid=2**22 + 1).is_dead


def test_a_lease_that_has_gone_stale_is_taken_over(storage: Storage) -> None:
    put(storage, replace(Heartbeat.of_this_process("run-1"), machine="another", host="node7"))
    waiting = Waiting()
    with lease(storage, "run-2", waiting) as held:
        assert STALE_S <= waiting.now < STALE_S + 2
        assert holder(storage).run_id == "run-2"
        assert held.taken_from == "run-1"


def test_of_two_drivers_that_find_no_lease_one_takes_it(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.check_writable()
    with lease(storage, "run-1") as first:
        late = lease(storage, "run-2", Waiting(meanwhile=first.refresh))
        real, looks = storage.read, list[str]()

        def read(path: str) -> bytes:
            looks.append(path)
            if len(looks) == 1:  # it looked before the first driver took the lease
                raise StorageError(storage.uri(path), "not found", "not_found")
            return real(path)

        storage.read = read  # type: ignore[method-assign]
        with pytest.raises(LeaseHeldError, match="run run-1"):
            late.__enter__()
        assert not first.lost


def test_a_lease_that_is_given_back_meanwhile_is_taken(storage: Storage) -> None:
    put(storage, replace(Heartbeat.of_this_process("run-1"), machine="another"))

    def give_back() -> None:
        if waiting.now >= 5:
            storage.delete(LEASE_PATH)

    waiting = Waiting(give_back)
    with lease(storage, "run-2", waiting) as held:
        assert 5 <= waiting.now < STALE_S
        assert holder(storage).run_id == "run-2"
        assert held.taken_from is None


def test_a_driver_learns_that_its_lease_was_taken_over(storage: Storage) -> None:
    with lease(storage, "run-1") as first:
        put(storage, replace(Heartbeat.of_this_process("run-2"), beat=5))
        lost_before = first.lost
        first.refresh()
        assert (lost_before, first.lost) == (False, True)
    assert holder(storage).run_id == "run-2", "a driver gives back only its own lease"


def test_a_lease_that_is_gone_is_lost_and_never_taken_again(storage: Storage) -> None:
    with lease(storage, "run-1") as held:
        storage.delete(LEASE_PATH)
        held.refresh()
        assert (held.lost, held.is_taken) == (True, False)
        held.refresh()
    assert not storage.exists(LEASE_PATH)


def test_a_lease_is_confirmed_by_reading_it(storage: Storage) -> None:
    with lease(storage, "run-1") as held:
        assert held.confirm()
        put(storage, replace(Heartbeat.of_this_process("run-2"), beat=5))
        assert not held.confirm()
        assert (held.lost, held.is_taken) == (True, True)
        storage.delete(LEASE_PATH)  # run-2 has ended
        assert not held.confirm()


class Away(Storage):
    """A store that can be out of reach."""

    is_away = False

    def read(self, path: str) -> bytes:
        if self.is_away:
            raise StorageError(self.uri(path), "unavailable", "unavailable")
        return super().read(path)


def test_storage_that_is_away_does_not_lose_the_lease(tmp_path: Path) -> None:
    storage = Away(str(tmp_path / "out"), {})
    with lease(storage, "run-1") as held:
        before = holder(storage).beat
        storage.is_away = True
        held.refresh()
        assert not held.lost
        with pytest.raises(StorageError, match="unavailable"):
            held.confirm()
        assert not held.lost
        storage.is_away = False
        assert holder(storage).beat == before
        held.refresh()
        assert holder(storage).beat > before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run_id": "x"}', b"\xff"])
def test_an_unreadable_lease_is_replaced(tmp_path: Path, content: bytes) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write(LEASE_PATH, content)
    with lease(storage, "run-1"):
        assert holder(storage).run_id == "run-1"


def test_a_held_error_survives_pickle() -> None:
    error = pickle.loads(pickle.dumps(LeaseHeldError("s3://b/run/lease.json", "run r1")))
    assert (error.uri, error.holder) == ("s3://b/run/lease.json", "run r1")
