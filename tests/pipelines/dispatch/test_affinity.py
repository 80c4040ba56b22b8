"""Affinity chooses the row for a worker, and changes neither its time nor its image."""

from __future__ import annotations

import gc
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest

from benchmarks.affinity import KINDS, grid, manifests, measure, nameless, row
from pipelines.dispatch.affinity import PASSES_PER_WORKER, RowQueue
from pipelines.dispatch.dispatcher import Dispatcher
from pipelines.dispatch.tasks import DispatchPolicy, Task
from pipelines.rows import Entry, ManifestRow
from tests.pipelines.pictures import picture
from tests.pipelines.simulated_pool import Given, ListSource, SimulatedPool, hit_rate, run_all
from tests.pipelines.tiny_models import tiny
from uso_core.pipeline import USOPipeline
from uso_core.request import Parameters, StylizeRequest


def queue_of(rows: Iterable[ManifestRow], *, batched: bool = False) -> RowQueue:
    queue = RowQueue(batched=batched)
    add(queue, rows)
    return queue


def add(queue: RowQueue, rows: Iterable[ManifestRow]) -> None:
    for each in rows:
        queue.add(Task(Entry(each)))


def next_row(queue: RowQueue, worker: str = "w0") -> ManifestRow:
    task = queue.next_for(worker)
    assert task is not None
    return task.row


def with_numbers(
    number: int, *, width: int | None = None, height: int | None = None, num_steps: int = 25
) -> ManifestRow:
    numbers = Parameters(width=width, height=height, num_steps=num_steps)
    return replace(row(number, number, number), parameters=numbers)


def test_a_row_that_was_given_is_held_no_longer() -> None:
    """A row that many others pass keeps nothing of them: they may hold their images."""
    queue, at_hand, workers, dice = RowQueue(), 64, 64, random.Random(0)
    before = tasks_in_memory()
    for number in range(2000):
        # A few styles that several workers have: rows with them wait for long.
        style = dice.randrange(4) if dice.random() < 0.05 else number
        add(queue, [row(number, number, style)])
        if len(queue) > at_hand:
            next_row(queue, f"w{dice.randrange(workers)}")
    assert tasks_in_memory() - before == len(queue)


def tasks_in_memory() -> int:
    gc.collect()
    return sum(type(each) is Task for each in gc.get_objects())


def test_rows_that_share_nothing_go_first_in_first_out() -> None:
    rows = [row(n, n, n, f"number {n}") for n in range(40)]
    rows[7] = replace(rows[7], style_images=("s3://styles/a.jpg", "s3://styles/b.jpg"))
    rows[9] = replace(rows[9], content_image=None)
    queue = queue_of(rows)
    assert [next_row(queue, f"w{n % 3}") for n in range(40)] == rows
    assert queue.next_for("w0") is None


def test_each_worker_stays_with_its_content_image_and_then_begins_a_new_one() -> None:
    queue = queue_of(row(n, content=n // 4, style=n) for n in range(24))
    given = [(worker, next_row(queue, worker)) for _ in range(8) for worker in ("w0", "w1")]
    contents = [
        [row.content_image for name, row in given if name == worker][part]
        for worker in ("w0", "w1")
        for part in (slice(4), slice(4, 8))
    ]
    assert [len(set(part)) for part in contents] == [1, 1, 1, 1]
    assert len({part[0] for part in contents}) == 4


def test_a_prompt_weighs_more_than_a_content_image_and_that_more_than_a_style() -> None:
    queue = queue_of([row(0, 0, 0, "a")])
    next_row(queue)
    alike = [row(1, 1, 0, "b"), row(2, 0, 1, "c"), row(3, 2, 2, "a"), row(4, 3, 3, "d")]
    add(queue, alike)
    assert [next_row(queue).id for _ in alike] == ["r00003", "r00002", "r00001", "r00004"]


def test_a_worker_leaves_to_another_what_only_that_one_has() -> None:
    queue = queue_of([row(0, 0, 0, "a"), row(1, 1, 1, "b")])
    next_row(queue, "w0")
    next_row(queue, "w1")
    add(queue, [row(2, 0, 2, "c"), row(3, 3, 3, "d")])
    assert next_row(queue, "w1").id == "r00003"
    assert next_row(queue, "w1").id == "r00002"  # rather than wait


def test_what_a_dead_worker_had_binds_no_row() -> None:
    queue = queue_of([row(0, 0, 0, "a"), row(1, 1, 1, "b")])
    next_row(queue, "w0")
    next_row(queue, "w1")
    queue.forget("w0")
    add(queue, [row(2, 0, 2, "c"), row(3, 3, 3, "d")])
    assert next_row(queue, "w1").id == "r00002"


def test_a_worker_that_dies_is_forgotten() -> None:
    pool = SimulatedPool(2)
    policy = DispatchPolicy(rows_in_flight=1)
    dispatcher = Dispatcher(pool, ListSource(grid(20, 4)), policy, clock=lambda: pool.now)
    while len(pool.given) < 10:
        list(dispatcher.step(10))
    assert set(dispatcher._waiting.fresh._memories) == {"w0", "w1"}
    pool.kill("w0")
    list(dispatcher.step(10))
    assert set(dispatcher._waiting.fresh._memories) == {"w1"}


def test_a_row_that_suits_none_is_passed_over_so_often_and_no_more() -> None:
    queue = queue_of([row(0, 0, 0, "a"), row(1, 1, 1, "b")])
    next_row(queue, "w1")
    next_row(queue, "w0")
    add(queue, [row(2, 0, 0, "a")])  # w1's, which does not ask
    add(queue, [row(n, 1, 1, "b") for n in range(3, 100)])
    given = [next_row(queue).id for _ in range(60)]
    assert given.index("r00002") == 2 * PASSES_PER_WORKER


@pytest.mark.parametrize("seed", range(4))
def test_no_row_is_passed_over_more_often_than_that(seed: int) -> None:
    chance = random.Random(seed)
    rows = [row(n, chance.randrange(9), chance.randrange(30), "") for n in range(900)]
    left, queue, given = list(rows), RowQueue(), list[int]()
    while left or queue:
        taken = [left.pop(0) for _ in range(min(len(left), max(0, 60 - len(queue))))]
        add(queue, taken)
        given.append(int(next_row(queue, f"w{chance.choice((0, 0, 0, 1, 2))}").id[1:]))
    assert sorted(given) == list(range(900))
    passes = [sum(other > number for other in given[:at]) for at, number in enumerate(given)]
    assert 0 < max(passes) <= 3 * PASSES_PER_WORKER


def test_near_the_end_the_longest_row_goes_first_whoever_asks() -> None:
    rows = [with_numbers(n, num_steps=1 + n % 5) for n in range(20)]
    queue = queue_of(replace(each, prompt=f"number {n % 4}") for n, each in enumerate(rows))
    next_row(queue)
    queue.sort_longest_first()
    steps = [next_row(queue, f"w{n % 2}").parameters.num_steps for n in range(19)]
    assert steps == sorted(steps, reverse=True)


def test_small_outputs_of_one_form_go_together_where_they_are_drawn_together() -> None:
    small = [with_numbers(n, width=512, height=512 - 16 * (n % 2)) for n in range(16)]
    queue = queue_of(small, batched=True)
    given = [(worker, next_row(queue, worker)) for _ in range(8) for worker in ("w0", "w1")]
    for name in ("w0", "w1"):
        heights = Counter(row.parameters.height for worker, row in given if worker == name)
        assert heights.total() == 8
        assert len(heights) == 1
    one_by_one = queue_of(small)
    assert [next_row(one_by_one) for _ in small] == small


def test_large_outputs_have_no_form() -> None:
    large = [with_numbers(n, width=1024, height=1024 - 16 * (n % 2)) for n in range(16)]
    queue = queue_of(large, batched=True)
    assert [next_row(queue) for _ in large] == large


def test_memory_does_not_grow_with_the_rows() -> None:
    queue = RowQueue(batched=True)
    for n in range(3000):
        add(queue, [replace(with_numbers(n, width=512, height=512), prompt=f"number {n}")])
        if len(queue) > 20:
            next_row(queue, f"w{n % 4}")
    assert len(queue._having) <= 3 * 20 + 1  # and the form
    assert len(queue._holders) <= 4 * 128
    assert sum(map(len, queue._new.values())) <= 3 * 21


def given_out(rows: list[ManifestRow], workers: int = 5) -> list[Given]:
    pool = SimulatedPool(workers)
    run_all(pool, rows, DispatchPolicy(rows_in_flight=3))
    return pool.given


@pytest.mark.parametrize("name", manifests())
def test_workers_are_given_as_many_rows_at_the_same_moments(name: str) -> None:
    rows = manifests()[name][:400]
    ours, in_order = given_out(rows), given_out(nameless(rows))
    assert [one.row_id for one in in_order] == [row.id for row in rows]
    assert [(one.at_s, one.worker) for one in ours] == [(o.at_s, o.worker) for o in in_order]


def test_a_grid_is_found_in_memory_more_often() -> None:
    hits = measure(grid(60, 20), workers=8, entries=64)
    assert hits.before["contents"] < 0.65
    assert hits.after["contents"] > 0.85
    assert hits.after["styles"] > hits.before["styles"] - 0.01


def test_hits_are_counted_with_the_last_used_ones_in_memory() -> None:
    given = [Given(n, "w0", name) for n, name in enumerate("abacb")]
    assert hit_rate(given, {name: [name] for name in "abc"}, entries=2) == 1 / 5
    assert set(KINDS) == {"contents", "styles", "prompts"}


def drawn(
    rows: list[ManifestRow], requests: dict[str, StylizeRequest]
) -> tuple[dict[str, bytes], int]:
    """Each row's picture, by id, and how many content images two workers found in memory."""
    images: dict[str, bytes] = {}
    pipelines = {name: USOPipeline(tiny().components) for name in ("w0", "w1")}

    def work(worker: str, one: ManifestRow) -> None:
        images[one.id] = pipelines[worker]([requests[one.id]])[0].image.tobytes()

    run_all(SimulatedPool(2, work), rows, DispatchPolicy(rows_in_flight=1))
    return images, sum(p.cache_lookups["content images"].hits for p in pipelines.values())


def test_a_row_gives_the_same_picture_wherever_it_is_drawn() -> None:
    rows = grid(5, 3)
    requests = {
        each.id: StylizeRequest(
            content_image=picture(seed=n // 3),
            style_images=[picture(seed=50 + n % 3)],
            width=32,
            height=32,
            num_steps=1,
            seed=n,
            content_long_size=32,
        )
        for n, each in enumerate(rows)
    }
    ours, our_hits = drawn(rows, requests)
    in_order, hits_in_order = drawn(nameless(rows), requests)
    assert our_hits > hits_in_order
    assert ours == in_order
    assert len(set(ours.values())) == len(rows)
