"""Decoding on a lane of its own: here on a CPU, where two lanes are two threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch

from pipelines.failures import RowFailedError
from pipelines.worker.batch_queue import Rendered
from pipelines.worker.device_streams import (
    DeviceStreams,
    HostStream,
    Marker,
    Timing,
    device_streams,
)
from pipelines.worker.renderer import Renderer
from tests.pipelines.tiny_models import (
    Gate,
    Misbehaving,
    OutOfMemory,
    cuda_short_of_memory,
    tiny,
)
from tests.pipelines.worker.test_batches import prepared

TWO_LANES = DeviceStreams(HostStream(), HostStream())
WAIT_S = 30


def seed(number: int) -> range:
    return range(number, number + 1)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def alone(number: int) -> bytes:
    return Renderer(tiny()).draw(prepared(), seed(number)).images[0].tobytes()


def pixels(future: Future[Rendered]) -> bytes:
    return future.result(WAIT_S).images[0].tobytes()


@contextmanager
def rows(drawer: Renderer) -> Iterator[Callable[[int], Future[Rendered]]]:
    """Draws the row of a seed in a thread of its own."""
    with ThreadPoolExecutor(8) as threads:
        yield lambda number: threads.submit(drawer.draw, prepared(), seed(number))


def at(number: int, act: Callable[[int], None]) -> Callable[[int], None]:
    """Does something before one image."""
    return lambda seed: act(seed) if seed == number else None


class Lagging(HostStream):
    """Plays the stream of a GPU that is behind: a mark is reached when the test says so."""

    def __init__(self) -> None:
        self.marks: list[LaggingMark] = []

    def mark(self) -> Marker:
        self.marks.append(LaggingMark())
        return self.marks[-1]

    def reach(self, count: int) -> None:
        """Come to the first marks."""
        for mark in self.marks[:count]:
            mark.reached.set()


class LaggingMark:
    def __init__(self) -> None:
        self.reached = threading.Event()
        self.error: Exception | None = None

    def wait(self) -> None:
        assert self.reached.wait(WAIT_S)
        if self.error is not None:
            raise self.error

    def ms_since(self, earlier: Marker) -> float:
        return 1


def test_while_one_row_is_decoded_the_next_ones_are_denoised() -> None:
    gate = Gate()
    pipeline = Misbehaving(before_decoding=at(0, gate))
    with rows(Renderer(pipeline, lanes=TWO_LANES)) as draw:
        futures = [draw(0)]
        assert gate.reached.wait(WAIT_S)
        futures += [draw(1), draw(2)]
        until(lambda: sorted(pipeline.drawn) == [0, 1, 2])
        assert pipeline.decoded == [0]
        gate.open()
        assert [pixels(future) for future in futures] == [alone(number) for number in range(3)]


def test_on_a_cpu_the_next_row_waits_until_this_one_is_decoded() -> None:
    assert device_streams(torch.device("cpu"), beside=True).decoding is None
    gate = Gate()
    pipeline = Misbehaving(before_decoding=at(0, gate))
    with rows(Renderer(pipeline)) as draw:
        futures = [draw(0)]
        assert gate.reached.wait(WAIT_S)
        futures.append(draw(1))
        time.sleep(0.05)
        assert pipeline.drawn == [0]
        gate.open()
        assert [pixels(future) for future in futures] == [alone(0), alone(1)]


def test_one_request_waits_on_the_device_and_no_more() -> None:
    stream, pipeline = Lagging(), Misbehaving()
    with rows(Renderer(pipeline, lanes=DeviceStreams(stream, HostStream()))) as draw:
        futures = [draw(0)]
        until(lambda: pipeline.drawn == [0])
        futures += [draw(1), draw(2)]
        time.sleep(0.05)
        assert len(pipeline.drawn) == 1  # the first is not at work yet
        stream.reach(3)  # it is conditioned, and its steps begin
        until(lambda: len(pipeline.drawn) == 2)
        time.sleep(0.05)
        assert len(pipeline.drawn) == 2  # now the second waits, and the third is not given
        while not all(future.done() for future in futures):
            stream.reach(100)
            time.sleep(0.001)
        assert [pixels(future) for future in futures] == [alone(number) for number in range(3)]


def test_threads_at_random_draw_the_same_bytes() -> None:
    with rows(Renderer(Misbehaving(), lanes=TWO_LANES)) as draw:
        futures = [draw(number) for number in range(8)]
        assert [pixels(future) for future in futures] == [alone(number) for number in range(8)]


def test_all_images_of_a_row_are_decoded_in_order() -> None:
    pipeline = Misbehaving()
    drawing = Renderer(pipeline, lanes=TWO_LANES).draw(prepared(), range(3))
    assert pipeline.decoded == [0, 1, 2]
    assert [image.tobytes() for image in drawing.images] == [alone(n) for n in range(3)]
    assert min(drawing.condition_ms, drawing.inference_ms, drawing.decode_ms) > 0


def test_what_another_turn_has_denoised_does_not_wait_for_the_next_turn() -> None:
    first, later = Gate(), Gate()
    gates = {0: first, 3: later}
    pipeline = Misbehaving(lambda seed: gates[seed](seed) if seed in gates else None)
    drawer = Renderer(pipeline, batch_images=2, lanes=TWO_LANES)
    with rows(drawer) as draw:
        futures = [draw(0)]
        assert first.reached.wait(WAIT_S)
        futures += [draw(1), draw(2)]
        until(lambda: len(drawer.waiting) == 2)
        first.open()
        until(lambda: pipeline.batches == [1, 2])
        last = draw(3)
        assert later.reached.wait(WAIT_S)
        assert all(future.result(WAIT_S).images for future in futures)
        assert not last.done()
        later.open()


def test_short_memory_while_decoding_decodes_again_and_alone() -> None:
    fault = OutOfMemory(1)
    denoised_meanwhile: list[int] = []

    def decode(number: int) -> None:
        fault(number)
        futures.append(draw(1))
        time.sleep(0.05)
        denoised_meanwhile.extend(pipeline.drawn[1:])

    pipeline = Misbehaving(before_decoding=at(0, decode))
    futures: list[Future[Rendered]] = []
    with rows(Renderer(pipeline, lanes=TWO_LANES)) as draw:
        assert pixels(draw(0)) == alone(0)
        assert pixels(futures[0]) == alone(1)
    assert denoised_meanwhile == []
    assert pipeline.drawn == [0, 1]
    assert pipeline.decoded == [0, 0, 1]
    assert fault.leaked == 0


def test_too_little_memory_to_decode_fails_the_row_and_the_drawer_lives() -> None:
    fault = OutOfMemory(3, cuda_short_of_memory)
    drawer = Renderer(Misbehaving(before_decoding=fault), lanes=TWO_LANES)
    with pytest.raises(RowFailedError) as caught:
        drawer.draw(prepared(), seed(0))
    assert caught.value.failure.code == "out_of_memory"
    assert drawer.draw(prepared(), seed(1)).images[0].tobytes() == alone(1)
    assert fault.leaked == 0


def test_short_memory_while_denoising_waits_for_what_is_decoded_beside() -> None:
    gate = Gate()
    pipeline = Misbehaving(at(1, OutOfMemory(1)), before_decoding=at(0, gate))
    with rows(Renderer(pipeline, lanes=TWO_LANES)) as draw:
        futures = [draw(0)]
        assert gate.reached.wait(WAIT_S)
        futures.append(draw(1))
        until(lambda: pipeline.drawn == [0, 1])
        time.sleep(0.05)
        assert pipeline.drawn == [0, 1]  # its second try waits
        gate.open()
        assert [pixels(future) for future in futures] == [alone(0), alone(1)]
    assert pipeline.drawn == [0, 1, 1]


@pytest.mark.parametrize("lanes", [TWO_LANES, DeviceStreams(HostStream())], ids=["two", "one"])
def test_a_row_that_cannot_be_decoded_costs_its_batch_nothing(lanes: DeviceStreams) -> None:
    def bug(_: int) -> None:
        raise ZeroDivisionError

    gate = Gate()
    pipeline = Misbehaving(at(0, gate), before_decoding=at(2, bug))
    drawer = Renderer(pipeline, batch_images=3, lanes=lanes)
    with rows(drawer) as draw:
        futures = [draw(0)]
        assert gate.reached.wait(WAIT_S)
        futures += [draw(number) for number in (1, 2, 3)]
        until(lambda: len(drawer.waiting) == 3)
        gate.open()
        assert isinstance(futures.pop(2).exception(WAIT_S), ZeroDivisionError)
        assert all(future.result(WAIT_S).images for future in futures)
    assert pipeline.batches == [1, 3]


def test_a_gpu_lost_while_a_row_is_waited_for_ends_the_process_through_one_place() -> None:
    stream, ended = Lagging(), list[BaseException]()
    drawer = Renderer(
        Misbehaving(), lanes=DeviceStreams(stream, HostStream()), on_gpu_lost=ended.append
    )
    with rows(drawer) as draw:
        future = draw(0)
        until(lambda: len(stream.marks) == 5)
        stream.marks[-1].error = torch.AcceleratorError("CUDA error: unspecified launch failure")
        stream.marks[-1].reached.set()
        assert future.exception(WAIT_S) is ended[0]
    assert isinstance(ended[0], torch.AcceleratorError)


def test_a_span_is_shared_by_its_images() -> None:
    begin = HostStream().mark()
    time.sleep(0.01)
    end = HostStream().mark()
    assert Timing(begin, end).ms >= 10
    assert Timing(begin, end, images=4).ms == Timing(begin, end).ms / 4
