"""Rows that can share a batch do, even when the device is given work ahead or decodes beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from pipelines.worker.batch_queue import Rendered
from pipelines.worker.device_streams import DeviceStreams, HostStream
from pipelines.worker.renderer import Renderer
from tests.pipelines.tiny_models import Gate, Misbehaving
from tests.pipelines.worker.rendering import WAIT_S, LaggingStream, at, rows, until


@contextmanager
def first_row_at_work(
    stream: LaggingStream, pipeline: Misbehaving
) -> Iterator[tuple[Renderer, Callable[[int], Future[Rendered]]]]:
    """Render in batches of two, on a device that has begun with the steps of a first row."""
    renderer = Renderer(pipeline, batch_images=2, streams=DeviceStreams(stream, HostStream()))
    with rows(renderer) as render:
        futures = [render(0)]
        until(lambda: len(stream.marks) == 5)

        def watched(number: int) -> Future[Rendered]:
            futures.append(render(number))
            return futures[-1]

        yield renderer, watched
        stream.catch_up(futures)
        assert all(future.result().images for future in futures)


def test_a_batch_that_may_grow_is_not_submitted_to_a_busy_device() -> None:
    stream, pipeline = LaggingStream(), Misbehaving()
    with first_row_at_work(stream, pipeline) as (renderer, render):
        render(1)
        stream.reach(3)
        # Two threads wait for the end of the first row's steps: its own, which will decode, and
        # the second row's, whose batch has room for another image.
        until(lambda: stream.marks[4].waits == 2)
        assert pipeline.batches == [1]
        render(2)
        until(lambda: len(renderer.queue) == 2)
    assert pipeline.batches == [1, 2]


def test_a_full_batch_is_submitted_to_a_busy_device() -> None:
    stream, pipeline = LaggingStream(), Misbehaving()
    with first_row_at_work(stream, pipeline) as (renderer, render):
        render(1)
        render(2)
        until(lambda: len(renderer.queue) == 2)
        stream.reach(3)
        until(lambda: pipeline.batches == [1, 2])


def test_on_one_stream_a_batch_is_decoded_before_the_next_row_is_denoised() -> None:
    gate, denoised_meanwhile = Gate(), list[int]()

    def decode(_: int) -> None:
        if len(pipeline.decoded) == 2:
            futures.append(render(4))
            until(lambda: len(renderer.queue) == 1)
        elif len(pipeline.decoded) == 4:
            denoised_meanwhile.extend(pipeline.denoised)

    pipeline = Misbehaving(at(0, gate), before_decoding=decode)
    renderer = Renderer(pipeline, batch_images=3)
    with rows(renderer) as render:
        futures = [render(0)]
        assert gate.reached.wait(WAIT_S)
        futures += [render(number) for number in (1, 2, 3)]
        until(lambda: len(renderer.queue) == 3)
        gate.open()
        until(lambda: len(futures) == 5)
        assert all(future.result(WAIT_S).images for future in futures)
    assert sorted(denoised_meanwhile) == [0, 1, 2, 3]
