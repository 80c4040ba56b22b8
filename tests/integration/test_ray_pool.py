from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError

from pipelines.config.cluster import StylizeConfig
from pipelines.config.schema import RunConfig
from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import DispatchPolicy, Settled
from pipelines.dispatch.workers import Event, Finished, Lost, Raised, Ready, WorkerEnv
from pipelines.errors import WorkersFailedError
from pipelines.handling import Handling
from pipelines.on_ray import actors
from pipelines.on_ray.actors import RayPool
from pipelines.on_ray.row_actor import RowWorker
from pipelines.on_ray.worker_errors import call_events
from pipelines.rows import ManifestRow, Outcome
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.integration.scripted_worker import (
    CannotLoadWorker,
    CrashesAtStartWorker,
    LoadsBesideAnotherWorker,
    ScriptedWorker,
    ShowsEnvironmentWorker,
    SlowToAnswerWorker,
    scripted_row,
)
from tests.pipelines.dispatch.test_dispatcher import codes
from tests.pipelines.simulated_pool import ListSource
from uso_core.request import Parameters

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(120)]

NO_ENV = WorkerEnv()
MakePool = Callable[..., RayPool]


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[MakePool]:
    pools: list[RayPool] = []

    def make(
        actors: int = 1,
        worker: Callable[[StylizerSpec], RowWorker] = ScriptedWorker,
        env: WorkerEnv = NO_ENV,
    ) -> RayPool:
        stylize = StylizeConfig(actors=actors, gpus_per_actor=0, cpus_per_actor=1)
        config = RunConfig.model_validate(
            {
                "manifest": {"path": "unused"},
                "output": {"path": str(tmp_path)},
                "model": {"base": "tiny"},
                "stylize": {"gpus_per_actor": 0},
            }
        )
        pools.append(RayPool(StylizerSpec.from_config(config), stylize, env, worker))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def wait_for(pool: RayPool, kind: type[Event], timeout_s: float = 30) -> list[Event]:
    """Return all events up to and including the first one of `kind`."""
    events: list[Event] = []
    deadline = time.monotonic() + timeout_s
    while not any(isinstance(event, kind) for event in events):
        assert time.monotonic() < deadline, f"no {kind.__name__} among {events}"
        events += pool.wait(0.2)
    return events


def settle(pool: RayPool, rows: list[ManifestRow], policy: DispatchPolicy) -> list[Settled]:
    dispatcher = Dispatcher(pool, ListSource(rows), policy)
    settled: list[Settled] = []
    while not dispatcher.done:
        settled += dispatcher.step(0.2)
    return settled


def test_a_row_comes_back_from_another_process(make_pool: MakePool) -> None:
    pool = make_pool()
    wait_for(pool, Ready)
    pool.submit("stylizer-0", [scripted_row("a")])
    finished = wait_for(pool, Finished)[-1]
    assert isinstance(finished, Finished)
    assert finished.outcome.row_id == "a"
    assert finished.outcome.worker is not None
    assert not finished.outcome.worker.endswith(f":{os.getpid()}")


def test_a_wake_ends_the_next_wait_without_an_event(make_pool: MakePool) -> None:
    pool = make_pool()
    wait_for(pool, Ready)
    pool.wake()
    assert pool.wait(300) == []


def test_actors_load_beside_each_other(make_pool: MakePool) -> None:
    pool = make_pool(2, LoadsBesideAnotherWorker)
    events = wait_for(pool, Ready)
    while len(events) < 2:
        events += pool.wait(1)
    assert [type(event) for event in events] == [Ready, Ready]


def test_a_bug_is_told_with_its_traceback_and_the_actor_lives(make_pool: MakePool) -> None:
    pool = make_pool()
    wait_for(pool, Ready)
    pool.submit("stylizer-0", [scripted_row("a", "raise")])
    raised = wait_for(pool, Raised)[-1]
    assert isinstance(raised, Raised)
    assert "a bug in the worker" in raised.error
    assert "stylize" in raised.error
    pool.submit("stylizer-0", [scripted_row("b")])
    assert isinstance(wait_for(pool, Finished)[-1], Finished)


def test_secrets_get_to_the_actor_and_not_to_the_logs_of_ray(make_pool: MakePool) -> None:
    secret = secrets.token_hex(16)
    env = WorkerEnv({"PLAIN": "for all to see"}, {"SECRET": secret})
    pool = make_pool(1, ShowsEnvironmentWorker, env)
    wait_for(pool, Ready)
    for name, value in (*env.plain.items(), *env.secret.items()):
        pool.submit("stylizer-0", [scripted_row(name)])
        finished = wait_for(pool, Finished)[-1]
        assert isinstance(finished, Finished)
        assert finished.outcome.device == value
    this_process: Any = ray._private.worker
    session = Path(this_process._global_node.get_session_dir_path())
    logs = "".join(path.read_text(errors="replace") for path in session.glob("logs/*.*"))
    assert "for all to see" in logs
    assert secret not in logs


def test_a_dead_actor_is_replaced_and_loss_is_told_once(make_pool: MakePool) -> None:
    pool = make_pool()
    wait_for(pool, Ready)
    for name, prompt in [("a", "sleep:20"), ("b", "sleep:20"), ("c", "die")]:
        pool.submit("stylizer-0", [scripted_row(name, prompt)])
    events = wait_for(pool, Lost) + wait_for(pool, Ready)
    assert [type(event) for event in events] == [Lost, Ready]
    pool.submit("stylizer-0", [scripted_row("d")])
    assert isinstance(wait_for(pool, Finished)[-1], Finished)


@pytest.mark.parametrize("error", [OutOfMemoryError, NodeDiedError])
def test_whatever_ray_itself_says_of_an_actor_is_a_loss(error: type[RayError]) -> None:
    # An actor killed by the memory monitor answers every further call with OutOfMemoryError.
    (event,) = call_events("stylizer-0", ["a", "b"], error("the worker is gone"))
    assert isinstance(event, Lost)


def test_the_list_of_a_node_s_processes_is_not_told() -> None:
    kind: type[RayError] = OutOfMemoryError
    error = kind("1 worker was killed\nTop memory users:\n7 0.5 GB --secret-key x")
    expected = [Lost("stylizer-0", "1 worker was killed")]
    assert call_events("stylizer-0", ["a"], error) == expected


def test_questions_do_not_pile_up_for_an_actor_that_does_not_answer(make_pool: MakePool) -> None:
    pool = make_pool(1, SlowToAnswerWorker)
    wait_for(pool, Ready)
    for _ in range(50):
        pool.poll_activity()
    while not (answers := pool.poll_activity()):
        time.sleep(0.05)
    assert answers[0].cache_hits == 1


def test_of_many_actors_some_are_asked_at_a_time_and_all_in_turn(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "_ASKED_AT_ONCE", 1)
    pool = make_pool(2)
    pool.poll_activity()
    assert [slot.asked for slot in pool._slots.values()] == [True, False]
    while len(pool.poll_activity()) < 2:
        time.sleep(0.01)


def test_a_killed_actor_is_replaced(make_pool: MakePool) -> None:
    pool = make_pool()
    wait_for(pool, Ready)
    pool.submit("stylizer-0", [scripted_row("a", "sleep:60")])
    pool.kill("stylizer-0")
    events = wait_for(pool, Lost) + wait_for(pool, Ready)
    assert [type(event) for event in events] == [Lost, Ready]


def test_weights_that_are_not_there_end_the_run_with_the_reason(make_pool: MakePool) -> None:
    with pytest.raises(WorkersFailedError, match=r"flux1-dev\.safetensors is not there"):
        settle(make_pool(1, CannotLoadWorker), [scripted_row("a")], DispatchPolicy())


def test_a_crash_while_loading_is_tried_again(make_pool: MakePool) -> None:
    settled = settle(make_pool(1, CrashesAtStartWorker), [scripted_row("a")], DispatchPolicy())
    assert codes(settled) == {"completed": 1}


def test_poison_rows_among_many_on_real_processes(make_pool: MakePool) -> None:
    rows = [scripted_row(f"r{n}", "die" if n in {5, 17} else "") for n in range(40)]
    settled = settle(make_pool(2), rows, DispatchPolicy())
    assert codes(settled) == {"completed": 38, "worker_lost": 2}
    assert {s.entry.row.id for s in settled if s.outcome.failure} == {"r5", "r17"}


def test_rows_that_were_told_of_are_kept_if_the_next_one_in_their_call_kills_the_actor(
    make_pool: MakePool, tmp_path: Path
) -> None:
    pool = make_pool()
    wait_for(pool, Ready)
    sign = tmp_path / "die"
    pool.submit("stylizer-0", [scripted_row("a"), scripted_row("b", f"die-after:{sign}")])
    assert pool._slots["stylizer-0"].calls == 1
    finished = wait_for(pool, Finished)
    assert [finished_id(event) for event in finished] == ["a"]
    sign.touch()
    assert [type(event) for event in wait_for(pool, Lost)] == [Lost]


def test_short_rows_share_calls_and_each_settles_once(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = {97: "die", 300: "raise", 301: "die"}
    rows = [scripted_row(f"r{n}", prompts.get(n, "")) for n in range(600)]
    calls: list[int] = []
    call = RayPool._call

    def counted(pool: RayPool, worker: str, rows: Sequence[ManifestRow], given: bytes) -> None:
        calls.append(len(rows))
        call(pool, worker, rows, given)

    monkeypatch.setattr(RayPool, "_call", counted)
    settled = settle(make_pool(2), rows, DispatchPolicy(max_rows_in_flight=32, retry_delay_s=0.01))
    assert Counter(s.entry.row.id for s in settled) == Counter(row.id for row in rows)
    assert codes(settled) == {"completed": 597, "worker_lost": 2, "internal": 1}
    lost = {s.entry.row.id: s.attempt for s in settled if s.outcome.failure}
    assert lost == {"r97": 2, "r300": 2, "r301": 2}
    assert {s.attempt for s in settled if not s.outcome.failure} == {1}
    assert sum(calls) >= 600
    assert len(calls) < 300


def test_many_large_rows_get_calls_of_their_own(make_pool: MakePool) -> None:
    pool = make_pool()
    wait_for(pool, Ready)
    pool.submit("stylizer-0", [scripted_row(name, 50_000 * name) for name in "abc"])
    assert pool._slots["stylizer-0"].calls == 3
    pool.submit("stylizer-0", [scripted_row(name) for name in "def"])
    ended: list[Event] = []
    while len(ended) < 6:
        ended += wait_for(pool, Finished)
    assert sorted(map(finished_id, ended)) == list("abcdef")


def finished_id(event: Event) -> str:
    assert isinstance(event, Finished)
    return event.outcome.row_id


def test_an_overdue_row_is_cut_off(make_pool: MakePool) -> None:
    rows = [scripted_row("slow", "sleep:60"), *(scripted_row(f"r{n}") for n in range(6))]
    settled = settle(make_pool(2), rows, DispatchPolicy(row_timeout_s=1.0))
    assert codes(settled) == {"completed": 6, "worker_lost": 1}


def test_an_actor_tells_the_steps_of_a_row_and_ends_it_when_it_is_cancelled(
    make_pool: MakePool,
) -> None:
    pool = make_pool(1, Stylizer)
    wait_for(pool, Ready, 60)
    parameters = Parameters(width=32, height=32, num_steps=50, num_images=4)
    row = ManifestRow("a", "", None, (), parameters, "f", handling=Handling(watched=True))
    pool.submit("stylizer-0", [row])
    events: list[Event] = []
    while not events:
        events = pool.wait(0.01)
        if any("a" in activity.steps for activity in pool.poll_activity()):
            pool.cancel("stylizer-0", "a")
    (finished,) = events
    assert isinstance(finished, Finished)
    assert finished.outcome == Outcome(row_id="a", cancelled=True)
