"""That rows which can be drawn together are: whatever is given ahead or decoded meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from pipelines.worker.batch_queue import Rendered
from pipelines.worker.device_streams import DeviceStreams, HostStream
from pipelines.worker.renderer import Renderer
from tests.pipelines.tiny_models import Gate, Misbehaving
from tests.pipelines.worker.test_device_streams import WAIT_S, Lagging, at, rows, until


@contextmanager
def first_row_at_work(
    stream: Lagging, pipeline: Misbehaving
) -> Iterator[tuple[Renderer, Callable[[int], Future[Rendered]]]]:
    """Draws two together, on a device that has begun with the steps of a first row."""
    drawer = Renderer(pipeline, batch_images=2, lanes=DeviceStreams(stream, HostStream()))
    with rows(drawer) as draw:
        futures = [draw(0)]
        until(lambda: pipeline.batches == [1])

        def watched(number: int) -> Future[Rendered]:
            futures.append(draw(number))
            return futures[-1]

        yield drawer, watched
        while not all(future.done() for future in futures):
            stream.reach(100)
            time.sleep(0.001)
        assert all(future.result().images for future in futures)


def test_a_batch_that_may_grow_is_not_given_to_a_device_at_work() -> None:
    stream, pipeline = Lagging(), Misbehaving()
    with first_row_at_work(stream, pipeline) as (drawer, draw):
        draw(1)
        stream.reach(3)
        time.sleep(0.05)
        assert pipeline.batches == [1]
        draw(2)
        until(lambda: len(drawer.waiting) == 2)
    assert pipeline.batches == [1, 2]


def test_a_full_batch_is_given_to_a_device_at_work() -> None:
    stream, pipeline = Lagging(), Misbehaving()
    with first_row_at_work(stream, pipeline) as (drawer, draw):
        draw(1)
        draw(2)
        until(lambda: len(drawer.waiting) == 2)
        stream.reach(3)
        until(lambda: pipeline.batches == [1, 2])


def test_on_one_lane_a_batch_is_decoded_before_the_next_row_is_drawn() -> None:
    gate, drawn_meanwhile = Gate(), list[int]()

    def decode(_: int) -> None:
        if len(pipeline.decoded) == 2:
            futures.append(draw(4))
            until(lambda: len(drawer.waiting) == 1)
        elif len(pipeline.decoded) == 4:
            drawn_meanwhile.extend(pipeline.drawn)

    pipeline = Misbehaving(at(0, gate), before_decoding=decode)
    drawer = Renderer(pipeline, batch_images=3)
    with rows(drawer) as draw:
        futures = [draw(0)]
        assert gate.reached.wait(WAIT_S)
        futures += [draw(number) for number in (1, 2, 3)]
        until(lambda: len(drawer.waiting) == 3)
        gate.open()
        until(lambda: len(futures) == 5)
        assert all(future.result(WAIT_S).images for future in futures)
    assert sorted(drawn_meanwhile) == [0, 1, 2, 3]
