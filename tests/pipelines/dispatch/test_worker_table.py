from __future__ import annotations

from pipelines.dispatch.tasks import Task
from pipelines.dispatch.worker_table import WorkerTable
from pipelines.rows import Entry, ManifestRow
from tests.clock import Clock
from uso_core.request import Parameters


def task(name: str) -> Task:
    row = ManifestRow(name, "", None, (), Parameters(), "f")
    return Task(Entry(row))


def crew_of(*names: str, row_timeout_s: float = 10) -> tuple[WorkerTable, Clock]:
    clock = Clock()
    workers = WorkerTable(row_timeout_s, clock)
    for name in names:
        workers.join(name)
    return workers, clock


def give(workers: WorkerTable, name: str, row_id: str) -> None:
    workers.give(next(member for member in workers if member.name == name), task(row_id))


def test_the_emptiest_come_first_and_none_gets_more_than_the_limit() -> None:
    workers, _ = crew_of("a", "b", "c")
    give(workers, "a", "r0")
    order = []
    for number, member in enumerate(workers.with_room(2)):
        order.append(member.name)
        workers.give(member, task(f"r{1 + number}"))
    assert order == ["b", "c", "a", "b", "c"]
    assert workers.in_flight == 6


def test_a_worker_with_rows_gets_more_once_a_whole_call_fits() -> None:
    workers, _ = crew_of("a", "b", "c")
    give(workers, "a", "r0")
    for n in range(3):
        give(workers, "b", f"b{n}")
    assert {member.name for member in workers.with_room(4, 3)} == {"a", "c"}
    assert {member.name for member in workers.with_room(4, 9)} == {"c"}  # which would stand idle
    assert {member.name for member in workers.with_room(4, 1)} == {"a", "b", "c"}


def test_who_is_set_aside_gets_no_other_rows() -> None:
    workers, _ = crew_of("a", "b")
    next(iter(workers)).isolating = True
    assert [member.name for member in workers.with_room(1)] == ["b"]


def test_a_row_is_taken_back_once() -> None:
    workers, _ = crew_of("a")
    give(workers, "a", "r0")
    assert not workers.idle
    taken = workers.take_back("a", "r0")
    assert taken is not None
    assert taken.row.id == "r0"
    assert workers.take_back("a", "r0") is None
    assert workers.take_back("gone", "r0") is None
    assert workers.idle


def test_overdue_is_said_once_and_later_rows_have_deadlines_of_their_own() -> None:
    workers, clock = crew_of("a", "b")
    give(workers, "a", "r0")
    give(workers, "a", "r1")  # behind r0, so it has twice the time
    clock.now = 5
    give(workers, "b", "r2")
    clock.now = 10
    assert workers.overdue() == []
    workers.take_back("a", "r0")
    clock.now = 15.5
    assert [member.name for member in workers.overdue()] == ["b"]
    assert workers.overdue() == []
    clock.now = 20.5
    assert [member.name for member in workers.overdue()] == ["a"]
    give(workers, "b", "r3")
    clock.now = 41
    assert [member.name for member in workers.overdue()] == ["b"]
