"""Rows that wait for the device together, and are drawn together where that is wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.failures import RowFailedError
from pipelines.worker.batch_queue import BATCHED_PIXELS, BatchQueue, PendingRequest, Rendered
from pipelines.worker.renderer import Renderer
from tests.pipelines.pictures import picture
from tests.pipelines.tiny_models import Gate, Misbehaving, tiny
from uso_core.model.inputs import PreparedRequest
from uso_core.model.sizes import Size
from uso_core.pipeline import USOPipeline
from uso_core.presets import PRESETS
from uso_core.request import StylizeRequest

FIRST = 100  # seed of the row that holds the device while the others come


def prepared(*, number: int = 0, width: int = 32) -> PreparedRequest:
    request = StylizeRequest(
        prompt=f"number {number}",
        content_image=picture(seed=number),
        style_images=[picture(seed=50 + number)],
        width=width,
        height=32,
        num_steps=1,
        content_long_size=32,
    )
    return tiny().prepare(request)


class Crowd:
    """Rows that all wait while a first one is drawn."""

    def __init__(self, misbehave: Callable[[int], None] = lambda _: None) -> None:
        self._gate = Gate()
        self._misbehave = misbehave
        self.pipeline = Misbehaving(self._before)

    def _before(self, seed: int) -> None:
        if seed == FIRST:
            self._gate(seed)
        else:
            self._misbehave(seed)

    def draw(
        self, drawer: Renderer, rows: Sequence[tuple[PreparedRequest, range]]
    ) -> list[Future[Rendered]]:
        """Draw a first row, and `rows` as soon as it is done."""
        with ThreadPoolExecutor(len(rows) + 1) as threads:
            first = threads.submit(drawer.draw, prepared(), range(FIRST, FIRST + 1))
            assert self._gate.reached.wait(30)
            futures = []
            for row in rows:
                futures.append(threads.submit(drawer.draw, *row))
                while len(drawer.waiting) < len(futures):
                    time.sleep(0.001)
            self._gate.open()
            assert first.result(30).images
        return futures


def one_form(count: int) -> list[tuple[PreparedRequest, range]]:
    return [(prepared(number=n), range(n, n + 1)) for n in range(count)]


def alone(row: tuple[PreparedRequest, range]) -> tuple[Image.Image, ...]:
    return Renderer(tiny()).draw(*row).images


def levels_off(ours: Image.Image, theirs: Image.Image) -> int:
    return int(np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max())


def test_what_waits_is_drawn_together_and_looks_the_same() -> None:
    crowd, rows = Crowd(), one_form(4)
    began = time.perf_counter()
    drawings = [f.result() for f in crowd.draw(Renderer(crowd.pipeline, batch_images=4), rows)]
    wall_ms = 1e3 * (time.perf_counter() - began)
    assert crowd.pipeline.batches == [1, 4]
    for drawing, row in zip(drawings, rows, strict=True):
        assert levels_off(drawing.images[0], alone(row)[0]) <= 1
    shares = [drawing.inference_ms for drawing in drawings]
    assert shares == [shares[0]] * 4
    assert sum(shares) <= wall_ms


def test_one_by_one_unless_it_is_asked_for_and_then_to_the_bit() -> None:
    crowd, rows = Crowd(), one_form(3)
    drawings = [f.result() for f in crowd.draw(Renderer(crowd.pipeline), rows)]
    assert crowd.pipeline.batches == [1, 1, 1, 1]
    for drawing, row in zip(drawings, rows, strict=True):
        assert drawing.images[0].tobytes() == alone(row)[0].tobytes()


def test_the_images_of_one_row_are_drawn_together() -> None:
    pipeline = Misbehaving(lambda _: None)
    drawing = Renderer(pipeline, batch_images=4).draw(prepared(), range(6))
    assert pipeline.batches == [4, 2]
    for image, want in zip(drawing.images, alone((prepared(), range(6))), strict=True):
        assert levels_off(image, want) <= 1


def test_short_memory_makes_batches_smaller_and_they_stay_so() -> None:
    asked: list[int] = []

    def fits_two(seed: int) -> None:
        asked.append(seed)
        if crowd.pipeline.batches[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    crowd, rows = Crowd(fits_two), one_form(4)
    drawer = Renderer(crowd.pipeline, batch_images=4)
    drawings = [f.result() for f in crowd.draw(drawer, rows)]
    assert crowd.pipeline.batches == [1, 4, 2, 2]
    assert drawer.draw(prepared(), range(3)).images
    assert crowd.pipeline.batches[4:] == [2, 1]
    for drawing, row in zip(drawings, rows, strict=True):
        assert levels_off(drawing.images[0], alone(row)[0]) <= 1


def test_a_row_without_memory_fails_alone_and_the_drawer_lives() -> None:
    def third_never_fits(seed: int) -> None:
        if seed == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    crowd = Crowd(third_never_fits)
    drawer = Renderer(crowd.pipeline, batch_images=4)
    futures = crowd.draw(drawer, one_form(4))
    with pytest.raises(RowFailedError) as caught:
        futures.pop(2).result()
    assert caught.value.failure.code == "out_of_memory"
    assert all(future.result().images for future in futures)
    assert drawer.draw(prepared(), range(1)).images


def test_a_bug_in_one_row_costs_the_others_nothing() -> None:
    def bug(seed: int) -> None:
        if seed == 1:
            raise ZeroDivisionError

    crowd = Crowd(bug)
    futures = crowd.draw(Renderer(crowd.pipeline, batch_images=4), one_form(3))
    with pytest.raises(ZeroDivisionError):
        futures.pop(1).result()
    assert all(future.result().images for future in futures)


def test_a_gpu_lost_in_a_batch_ends_the_process_at_once() -> None:
    def lose(seed: int) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    ended: list[BaseException] = []
    crowd = Crowd(lose)
    drawer = Renderer(crowd.pipeline, batch_images=2, on_gpu_lost=ended.append)
    futures = crowd.draw(drawer, one_form(2))
    assert all(isinstance(f.exception(), torch.AcceleratorError) for f in futures)
    assert crowd.pipeline.batches[:2] == [1, 2]
    assert len(ended) == 2  # here the process goes on, so the other row meets it, too


def waiting(*, number: int = 0, width: int = 32, images: int = 1) -> PendingRequest:
    return PendingRequest(prepared(number=number, width=width), range(images))


def test_only_one_form_is_called_up_to_the_room_there_is() -> None:
    room = BatchQueue(4)
    first, other, two, three = waiting(), waiting(width=48), waiting(images=2), waiting(images=3)
    last = waiting()
    for request in (first, other, two, three, last):
        room.enter(request)
    assert room.call(first) == [first, two, last]
    assert room.call(other) == [other]
    assert room.call(three) == [three]


def test_what_was_called_is_not_called_again() -> None:
    room = BatchQueue(2)
    requests = [waiting() for _ in range(3)]
    for request in requests:
        room.enter(request)
    assert room.call(requests[1]) == [requests[1], requests[0]]
    assert room.call(requests[2]) == [requests[2]]


def test_large_outputs_are_drawn_alone() -> None:
    room = BatchQueue(4)
    batch_key = prepared().batch_key
    side = round(BATCHED_PIXELS**0.5)
    sizes = [Size(side, side), Size(side + 16, side), Size(1024, 1024)]
    forms = [
        type(batch_key)(size, batch_key.content, batch_key.styles, batch_key.num_steps)
        for size in sizes
    ]
    assert [room.most_images(each) for each in forms] == [4, 1, 1]


def test_threads_that_draw_at_random_all_get_their_own() -> None:
    rows = [(prepared(number=n % 3, width=32 + 16 * (n % 2)), range(n, n + 1)) for n in range(12)]
    drawer = Renderer(tiny(), batch_images=3)
    barrier = threading.Barrier(len(rows))

    def draw(row: tuple[PreparedRequest, range]) -> Rendered:
        barrier.wait(30)
        return drawer.draw(*row)

    with ThreadPoolExecutor(len(rows)) as threads:
        drawings = list(threads.map(draw, rows))
    for drawing, row in zip(drawings, rows, strict=True):
        assert levels_off(drawing.images[0], alone(row)[0]) <= 1


def test_with_a_step_cache_each_image_is_drawn_alone() -> None:
    drafts = USOPipeline(tiny().components, preset=PRESETS["draft"])
    assert Renderer(drafts, batch_images=4).waiting.most_images(one_form(1)[0][0].batch_key) == 1
    assert Renderer(tiny(), batch_images=4).waiting.most_images(one_form(1)[0][0].batch_key) == 4
