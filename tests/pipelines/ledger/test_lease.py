from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipelines.errors import LeaseHeldError
from pipelines.ledger.lease import LEASE_PATH, Heartbeat, Lease
from pipelines.storage.storage import Storage

BEAT_S = 0.05
STALE_S = 0.5


def lease(storage: Storage, run_id: str, stale_s: float = STALE_S) -> Lease:
    return Lease(storage, run_id, heartbeat_s=BEAT_S, stale_s=stale_s)


def holder(storage: Storage) -> Heartbeat:
    return Heartbeat(**json.loads(storage.read(LEASE_PATH)))


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
    with lease(storage, "run-1"):
        first = holder(storage).beat
        assert wait_until(lambda: holder(storage).beat > first + 1)


def test_a_second_driver_is_refused_and_told_why(storage: Storage) -> None:
    with lease(storage, "run-1"):
        with pytest.raises(LeaseHeldError, match=r"run run-1, process \d+ on .*\. Let it finish"):
            lease(storage, "run-2", stale_s=30).__enter__()
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
    start = time.monotonic()
    with lease(storage, "run-2", stale_s=30):
        assert holder(storage).run_id == "run-2"
    assert time.monotonic() - start < 5


def test_a_process_that_nobody_has_buried_yet_is_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mine = Heartbeat.of_this_process("run-1")
    theirs = replace(mine, pid=child.pid, started=time.time())
    assert not theirs.is_dead
    child.kill()
    assert wait_until(lambda: theirs.is_dead)
    child.communicate()
    assert theirs.is_dead


def test_another_process_with_the_same_pid_is_not_the_holder() -> None:
    mine = Heartbeat.of_this_process("run-1")
    assert not mine.is_dead
    assert replace(mine, started=mine.started - 3600).is_dead


def test_a_process_elsewhere_is_never_called_dead() -> None:
    mine = Heartbeat.of_this_process("run-1")
    assert not replace(mine, machine="another", pid=2**22 + 1).is_dead


def test_a_lease_that_has_gone_stale_is_taken_over(storage: Storage) -> None:
    put(storage, replace(Heartbeat.of_this_process("run-1"), machine="another", host="node7"))
    start = time.monotonic()
    with lease(storage, "run-2"):
        assert time.monotonic() - start >= STALE_S
        assert holder(storage).run_id == "run-2"


def test_a_lease_that_is_given_back_meanwhile_is_taken(storage: Storage) -> None:
    put(storage, replace(Heartbeat.of_this_process("run-1"), machine="another"))
    second = lease(storage, "run-2", stale_s=60)
    with ThreadPoolExecutor(1) as thread:
        entered = thread.submit(second.__enter__)
        time.sleep(4 * BEAT_S)
        assert not entered.done()
        storage.delete(LEASE_PATH)
        entered.result(timeout=10)
    assert holder(storage).run_id == "run-2"
    second.__exit__(None, None, None)


def test_a_driver_learns_that_its_lease_was_taken_over(storage: Storage) -> None:
    with lease(storage, "run-1") as first:
        put(storage, replace(Heartbeat.of_this_process("run-2"), beat=5))
        assert wait_until(lambda: first.lost)
    assert holder(storage).run_id == "run-2", "only one's own lease is given back"


def test_a_lease_that_was_removed_by_hand_comes_back(storage: Storage) -> None:
    with lease(storage, "run-1") as held:
        storage.delete(LEASE_PATH)
        assert wait_until(lambda: storage.exists(LEASE_PATH))
        assert not held.lost


def test_storage_that_is_away_does_not_lose_the_lease(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path / "out"))
    with lease(storage, "run-1") as held:
        (tmp_path / "out").rename(tmp_path / "away")
        (tmp_path / "out").write_text("in the way")
        time.sleep(4 * BEAT_S)
        assert not held.lost
        (tmp_path / "out").unlink()
        (tmp_path / "away").rename(tmp_path / "out")
        before = holder(storage).beat
        assert wait_until(lambda: holder(storage).beat > before)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run_id": "x"}', b"\xff"])
def test_an_unreadable_lease_is_replaced(tmp_path: Path, content: bytes) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write(LEASE_PATH, content)
    with lease(storage, "run-1"):
        assert holder(storage).run_id == "run-1"


def test_a_held_error_survives_pickle() -> None:
    error = pickle.loads(pickle.dumps(LeaseHeldError("s3://b/run/lease.json", "run r1")))
    assert (error.uri, error.holder) == ("s3://b/run/lease.json", "run r1")
