"""Urgent requests go first, steps are counted, and a row ends at a step once it is cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipelines.handling import Handling
from pipelines.rows import ManifestRow
from pipelines.worker.batch_queue import DeviceLock
from pipelines.worker.device_streams import DeviceStreams
from pipelines.worker.renderer import Renderer
from pipelines.worker.steps import RowCancelledError, RowsAtWork, Steps, StepWatch
from tests.pipelines.tiny_models import Gate, Misbehaving, tiny
from tests.pipelines.worker.rendering import (
    WAIT_S,
    LaggingStream,
    alone,
    at,
    one_seed,
    prepared,
    until,
)
from uso_core.model.inputs import PreparedRequest
from uso_core.request import Parameters


def of_steps(count: int) -> PreparedRequest:
    return replace(prepared(), num_steps=count)


def test_a_lock_goes_to_urgent_threads_first_and_else_in_order() -> None:
    lock, order = DeviceLock(), []

    def use(name: str, *, urgent: bool) -> None:
        with lock.take(urgent=urgent):
            order.append(name)

    asked = [("a", False), ("b", False), ("urgent", True), ("c", False), ("too", True)]
    with ThreadPoolExecutor(8) as threads, lock.take():
        for count, (name, urgent) in enumerate(asked, 1):
            threads.submit(use, name, urgent=urgent)
            until(lambda count=count: len(lock._waiting) == count)  # type: ignore[misc]
    assert order == ["urgent", "too", "a", "b", "c"]


def test_an_urgent_request_goes_before_those_that_wait_and_between_two_images() -> None:
    gate = Gate()
    pipeline = Misbehaving(at(0, gate))
    renderer = Renderer(pipeline)
    with ThreadPoolExecutor(8) as threads:
        threads.submit(renderer.render, prepared(), range(2))  # two images, one after the other
        assert gate.reached.wait(WAIT_S)
        threads.submit(renderer.render, prepared(), one_seed(8))
        until(lambda: len(renderer._device._waiting) == 1)
        threads.submit(renderer.render, prepared(), one_seed(9), urgent=True)
        until(lambda: len(renderer._device._waiting) == 2)
        gate.open()
    assert pipeline.denoised == [0, 9, 1, 8]


def test_steps_are_counted_over_all_images_of_a_row() -> None:
    watch = StepWatch(images=2)
    Renderer(tiny()).render(of_steps(3), range(2), watch=watch)
    assert watch.steps == Steps(6, 6)


def test_a_cancelled_row_ends_at_its_next_step_and_the_model_stays_usable() -> None:
    watch = StepWatch(images=1)
    pipeline = Misbehaving(lambda _: setattr(watch, "cancelled", True))
    renderer = Renderer(pipeline)
    with pytest.raises(RowCancelledError):
        renderer.render(of_steps(4), one_seed(1), watch=watch)
    assert watch.steps == Steps(1, 4)
    assert pipeline.decoded == []
    assert renderer.render(prepared(), one_seed(1)).images[0].tobytes() == alone(1)


def test_a_cancelled_row_that_waits_for_the_device_ends_at_once() -> None:
    gate, watch = Gate(), StepWatch(images=1)
    pipeline = Misbehaving(at(0, gate))
    renderer = Renderer(pipeline)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(renderer.render, prepared(), one_seed(0))
        assert gate.reached.wait(WAIT_S)
        waiting = threads.submit(renderer.render, prepared(), one_seed(1), watch=watch)
        until(lambda: len(renderer._device._waiting) == 1)
        watch.cancelled = True
        renderer.look_at_cancels()
        assert isinstance(waiting.exception(WAIT_S), RowCancelledError)
        assert len(renderer.queue) == 0
        gate.open()
        assert first.result(WAIT_S)
    assert pipeline.denoised == [0]


def test_a_cancel_in_a_batch_leaves_the_others_their_images() -> None:
    gate, watches = Gate(), {n: StepWatch(images=1) for n in (1, 2, 3)}
    pipeline = Misbehaving(
        lambda seed: gate(seed) if seed == 0 else setattr(watches[2], "cancelled", True)
    )
    renderer = Renderer(pipeline, batch_images=4)
    with ThreadPoolExecutor(8) as threads:
        threads.submit(renderer.render, prepared(width=48), one_seed(0))
        assert gate.reached.wait(WAIT_S)
        futures = {
            n: threads.submit(renderer.render, prepared(), one_seed(n), watch=watch)
            for n, watch in watches.items()
        }
        until(lambda: len(renderer._device._waiting) == len(futures))
        gate.open()
        assert isinstance(futures[2].exception(WAIT_S), RowCancelledError)
        for number in (1, 3):
            assert futures[number].result(WAIT_S).images[0].size == (32, 32)
    assert pipeline.batches == [1, 3]


def test_a_batch_whose_rows_are_all_cancelled_ends() -> None:
    gate, watches = Gate(), [StepWatch(images=1) for _ in range(2)]

    def cancel(seed: int) -> None:
        if seed == 0:
            gate(seed)
        else:
            watches[seed - 1].cancelled = True

    pipeline = Misbehaving(cancel)
    renderer = Renderer(pipeline, batch_images=4)
    with ThreadPoolExecutor(8) as threads:
        threads.submit(renderer.render, prepared(width=48), one_seed(0))
        assert gate.reached.wait(WAIT_S)
        futures = [
            threads.submit(renderer.render, prepared(), one_seed(n + 1), watch=watch)
            for n, watch in enumerate(watches)
        ]
        until(lambda: len(renderer._device._waiting) == 2)
        gate.open()
        for future in futures:
            assert isinstance(future.exception(WAIT_S), RowCancelledError)
    assert pipeline.batches == [1, 2]


def test_a_watched_request_is_no_more_than_two_steps_ahead_of_the_device() -> None:
    stream, watch = LaggingStream(), StepWatch(images=1)
    renderer = Renderer(tiny(), streams=DeviceStreams(stream))
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(renderer.render, of_steps(9), one_seed(0), watch=watch)
        until(lambda: any(mark.waits for mark in stream.marks))
        assert watch.steps.done == 2
        watch.cancelled = True
        stream.catch_up([future])
        assert isinstance(future.exception(WAIT_S), RowCancelledError)
    assert watch.steps.done == 3


def row(row_id: str, handling: Handling | None) -> ManifestRow:
    return ManifestRow(row_id, "", None, (), Parameters(), "f", handling=handling)


def test_a_cancel_that_overtakes_its_row_is_remembered() -> None:
    rows = RowsAtWork()
    rows.cancel("a")
    for row_id, cancelled in (("a", True), ("b", False)):
        with rows.watching(row(row_id, Handling())) as watch:
            assert watch is not None
            assert watch.cancelled is cancelled


def test_only_watched_rows_that_have_begun_are_told() -> None:
    rows = RowsAtWork()
    with (
        rows.watching(row("told", Handling(watched=True))) as told,
        rows.watching(row("quiet", Handling())) as quiet,
        rows.watching(row("plain", None)) as plain,
    ):
        assert plain is None
        assert rows.steps() == {}
        for watch in (told, quiet):
            assert watch is not None
            watch.count(1, 20)
        assert rows.steps() == {"told": Steps(1, 20)}
    assert rows.steps() == {}
