"""Decoding beside the next request; on a CPU, the two streams are two threads."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
import torch

from pipelines.failures import RowFailedError
from pipelines.worker.batch_queue import Rendered
from pipelines.worker.device_streams import DeviceStreams, HostStream
from pipelines.worker.renderer import Renderer
from tests.pipelines.tiny_models import Gate, Misbehaving, OutOfMemory, cuda_short_of_memory
from tests.pipelines.worker.rendering import (
    TWO_STREAMS,
    WAIT_S,
    LaggingStream,
    alone,
    at,
    one_seed,
    pixels,
    prepared,
    rows,
    until,
    watch_decoder_lock,
    watch_device_lock,
)


def test_while_one_row_is_decoded_the_next_ones_are_denoised() -> None:
    gate = Gate()
    pipeline = Misbehaving(before_decoding=at(0, gate))
    with rows(Renderer(pipeline, streams=TWO_STREAMS)) as render:
        futures = [render(0)]
        assert gate.reached.wait(WAIT_S)
        futures += [render(1), render(2)]
        until(lambda: sorted(pipeline.denoised) == [0, 1, 2])
        assert pipeline.decoded == [0]
        gate.open()
        assert [pixels(future) for future in futures] == [alone(number) for number in range(3)]


def test_on_a_cpu_the_next_row_waits_until_this_one_is_decoded() -> None:
    gate = Gate()
    pipeline = Misbehaving(before_decoding=at(0, gate))
    renderer = Renderer(pipeline)
    lock = watch_device_lock(renderer)
    with rows(renderer) as render:
        futures = [render(0)]
        assert gate.reached.wait(WAIT_S)
        futures.append(render(1))
        until(lambda: len(lock.had_to_wait) == 2)
        assert lock.had_to_wait == [False, True]
        assert pipeline.denoised == [0]
        gate.open()
        assert [pixels(future) for future in futures] == [alone(0), alone(1)]


def test_one_request_waits_on_the_device_and_no_more() -> None:
    stream, pipeline = LaggingStream(), Misbehaving()
    with rows(Renderer(pipeline, streams=DeviceStreams(stream, HostStream()))) as render:
        futures = [render(0)]
        until(lambda: len(stream.marks) == 5)
        futures += [render(1), render(2)]
        until(lambda: stream.marks[2].waits == 1)  # for the first row's steps to begin
        assert len(pipeline.denoised) == 1
        stream.reach(3)
        until(lambda: len(stream.marks) == 10 and stream.marks[7].waits == 1)
        assert len(pipeline.denoised) == 2  # the second row waits, and the third is not submitted
        stream.catch_up(futures)
        assert [pixels(future) for future in futures] == [alone(number) for number in range(3)]


def test_threads_at_random_render_the_same_bytes() -> None:
    with rows(Renderer(Misbehaving(), streams=TWO_STREAMS)) as render:
        futures = [render(number) for number in range(8)]
        assert [pixels(future) for future in futures] == [alone(number) for number in range(8)]


def test_all_images_of_a_row_are_decoded_in_order() -> None:
    pipeline = Misbehaving()
    rendered = Renderer(pipeline, streams=TWO_STREAMS).render(prepared(), range(3))
    assert pipeline.decoded == [0, 1, 2]
    assert [image.tobytes() for image in rendered.images] == [alone(n) for n in range(3)]
    assert min(rendered.condition_ms, rendered.inference_ms, rendered.decode_ms) > 0


def test_a_row_that_another_thread_has_denoised_does_not_wait_for_the_device() -> None:
    first, later = Gate(), Gate()
    gates = {0: first, 3: later}
    pipeline = Misbehaving(lambda seed: gates[seed](seed) if seed in gates else None)
    renderer = Renderer(pipeline, batch_images=2, streams=TWO_STREAMS)
    with rows(renderer) as render:
        futures = [render(0)]
        assert first.reached.wait(WAIT_S)
        futures += [render(1), render(2)]
        until(lambda: len(renderer.queue) == 2)
        first.open()
        until(lambda: pipeline.batches == [1, 2])
        last = render(3)
        assert later.reached.wait(WAIT_S)
        assert all(future.result(WAIT_S).images for future in futures)
        assert not last.done()
        later.open()


def test_short_memory_while_decoding_decodes_again_and_alone() -> None:
    fault = OutOfMemory(1)
    denoised_meanwhile: list[int] = []

    def decode(number: int) -> None:
        fault(number)
        futures.append(render(1))
        until(lambda: len(lock.had_to_wait) == 3)
        denoised_meanwhile.extend(pipeline.denoised[1:])

    pipeline = Misbehaving(before_decoding=at(0, decode))
    futures: list[Future[Rendered]] = []
    renderer = Renderer(pipeline, streams=TWO_STREAMS)
    lock = watch_device_lock(renderer)
    with rows(renderer) as render:
        assert pixels(render(0)) == alone(0)
        assert pixels(futures[0]) == alone(1)
    assert lock.had_to_wait == [False, False, True]  # row 0, row 0 again, row 1
    assert denoised_meanwhile == []
    assert pipeline.denoised == [0, 1]
    assert pipeline.decoded == [0, 0, 1]
    assert fault.leaked == 0


def test_too_little_memory_to_decode_fails_the_row_and_the_renderer_lives() -> None:
    fault = OutOfMemory(3, cuda_short_of_memory)
    renderer = Renderer(Misbehaving(before_decoding=fault), streams=TWO_STREAMS)
    with pytest.raises(RowFailedError) as caught:
        renderer.render(prepared(), one_seed(0))
    assert caught.value.failure.code == "out_of_memory"
    assert renderer.render(prepared(), one_seed(1)).images[0].tobytes() == alone(1)
    assert fault.leaked == 0


def test_short_memory_while_denoising_waits_for_the_decoding_beside() -> None:
    gate = Gate()
    pipeline = Misbehaving(at(1, OutOfMemory(1)), before_decoding=at(0, gate))
    renderer = Renderer(pipeline, streams=TWO_STREAMS)
    lock = watch_decoder_lock(renderer)
    with rows(renderer) as render:
        futures = [render(0)]
        assert gate.reached.wait(WAIT_S)
        futures.append(render(1))
        until(lambda: len(lock.had_to_wait) == 2)
        assert lock.had_to_wait == [False, True]
        assert pipeline.denoised == [0, 1]  # the second attempt waits
        gate.open()
        assert [pixels(future) for future in futures] == [alone(0), alone(1)]
    assert pipeline.denoised == [0, 1, 1]


@pytest.mark.parametrize("streams", [TWO_STREAMS, DeviceStreams(HostStream())], ids=["two", "one"])
def test_a_row_that_cannot_be_decoded_costs_its_batch_nothing(streams: DeviceStreams) -> None:
    def bug(_: int) -> None:
        raise ZeroDivisionError

    gate = Gate()
    pipeline = Misbehaving(at(0, gate), before_decoding=at(2, bug))
    renderer = Renderer(pipeline, batch_images=3, streams=streams)
    with rows(renderer) as render:
        futures = [render(0)]
        assert gate.reached.wait(WAIT_S)
        futures += [render(number) for number in (1, 2, 3)]
        until(lambda: len(renderer.queue) == 3)
        gate.open()
        assert isinstance(futures.pop(2).exception(WAIT_S), ZeroDivisionError)
        assert all(future.result(WAIT_S).images for future in futures)
    assert pipeline.batches == [1, 3]


def test_a_gpu_lost_while_a_thread_waits_for_it_ends_the_process_through_one_place() -> None:
    stream, ended = LaggingStream(), list[BaseException]()
    renderer = Renderer(
        Misbehaving(), streams=DeviceStreams(stream, HostStream()), on_gpu_lost=ended.append
    )
    with rows(renderer) as render:
        future = render(0)
        until(lambda: len(stream.marks) == 5)
        stream.marks[-1].error = torch.AcceleratorError("CUDA error: unspecified launch failure")
        stream.marks[-1].reached.set()
        assert future.exception(WAIT_S) is ended[0]
    assert isinstance(ended[0], torch.AcceleratorError)
