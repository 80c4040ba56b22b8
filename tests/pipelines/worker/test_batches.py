"""Batches of rows that wait for the device together."""

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
from pipelines.worker.batch_queue import Rendered
from pipelines.worker.renderer import Renderer
from tests.pipelines.tiny_models import Gate, Misbehaving, tiny
from tests.pipelines.worker.rendering import WAIT_S, one_seed, prepared, until
from uso_core.model.inputs import PreparedRequest
from uso_core.pipeline import USOPipeline
from uso_core.presets import PRESETS

FIRST = 100  # seed of the row that holds the device while the others arrive


class Crowd:
    """Rows that all wait while the device renders a first one."""

    def __init__(self, misbehave: Callable[[int], None] = lambda _: None) -> None:
        self._gate = Gate()
        self._misbehave = misbehave
        self.pipeline = Misbehaving(self._before)

    def _before(self, seed: int) -> None:
        if seed == FIRST:
            self._gate(seed)
        else:
            self._misbehave(seed)

    def render(
        self, renderer: Renderer, rows: Sequence[tuple[PreparedRequest, range]]
    ) -> list[Future[Rendered]]:
        """Render a first row, and `rows` as soon as it is done."""
        with ThreadPoolExecutor(len(rows) + 1) as threads:
            first = threads.submit(renderer.render, prepared(), one_seed(FIRST))
            assert self._gate.reached.wait(WAIT_S)
            futures = []
            for row in rows:
                futures.append(threads.submit(renderer.render, *row))
                until(lambda: len(renderer.queue) == len(futures))
            self._gate.open()
            assert first.result(WAIT_S).images
        return futures


def one_key(count: int) -> list[tuple[PreparedRequest, range]]:
    return [(prepared(number=n), range(n, n + 1)) for n in range(count)]


def alone(row: tuple[PreparedRequest, range]) -> tuple[Image.Image, ...]:
    return Renderer(tiny()).render(*row).images


def levels_off(ours: Image.Image, theirs: Image.Image) -> int:
    return int(np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max())


def test_rows_that_wait_are_batched_and_look_the_same() -> None:
    crowd, rows = Crowd(), one_key(4)
    began = time.perf_counter()
    rendered = [f.result() for f in crowd.render(Renderer(crowd.pipeline, batch_images=4), rows)]
    wall_ms = 1e3 * (time.perf_counter() - began)
    assert crowd.pipeline.batches == [1, 4]
    for each, row in zip(rendered, rows, strict=True):
        assert levels_off(each.images[0], alone(row)[0]) <= 1
    shares = [each.inference_ms for each in rendered]
    assert shares == [shares[0]] * 4
    assert sum(shares) <= wall_ms


def test_without_batches_rows_are_exact_to_the_bit() -> None:
    crowd, rows = Crowd(), one_key(3)
    rendered = [f.result() for f in crowd.render(Renderer(crowd.pipeline), rows)]
    assert crowd.pipeline.batches == [1, 1, 1, 1]
    for each, row in zip(rendered, rows, strict=True):
        assert each.images[0].tobytes() == alone(row)[0].tobytes()


def test_the_images_of_one_row_are_batched() -> None:
    pipeline = Misbehaving(lambda _: None)
    rendered = Renderer(pipeline, batch_images=4).render(prepared(), range(6))
    assert pipeline.batches == [4, 2]
    for image, want in zip(rendered.images, alone((prepared(), range(6))), strict=True):
        assert levels_off(image, want) <= 1


def test_short_memory_makes_batches_smaller_and_they_stay_so() -> None:
    asked: list[int] = []

    def fits_two(seed: int) -> None:
        asked.append(seed)
        if crowd.pipeline.batches[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    crowd, rows = Crowd(fits_two), one_key(4)
    renderer = Renderer(crowd.pipeline, batch_images=4)
    rendered = [f.result() for f in crowd.render(renderer, rows)]
    assert crowd.pipeline.batches == [1, 4, 2, 2]
    assert renderer.render(prepared(), range(3)).images
    assert crowd.pipeline.batches[4:] == [2, 1]
    for each, row in zip(rendered, rows, strict=True):
        assert levels_off(each.images[0], alone(row)[0]) <= 1


def test_a_row_without_memory_fails_alone_and_the_renderer_lives() -> None:
    def third_never_fits(seed: int) -> None:
        if seed == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    crowd = Crowd(third_never_fits)
    renderer = Renderer(crowd.pipeline, batch_images=4)
    futures = crowd.render(renderer, one_key(4))
    with pytest.raises(RowFailedError) as caught:
        futures.pop(2).result()
    assert caught.value.failure.code == "out_of_memory"
    assert all(future.result().images for future in futures)
    assert renderer.render(prepared(), range(1)).images


def test_a_bug_in_one_row_costs_the_others_nothing() -> None:
    def bug(seed: int) -> None:
        if seed == 1:
            raise ZeroDivisionError

    crowd = Crowd(bug)
    futures = crowd.render(Renderer(crowd.pipeline, batch_images=4), one_key(3))
    with pytest.raises(ZeroDivisionError):
        futures.pop(1).result()
    assert all(future.result().images for future in futures)


def test_a_gpu_lost_in_a_batch_ends_the_process_at_once() -> None:
    def lose(seed: int) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    ended: list[BaseException] = []
    crowd = Crowd(lose)
    renderer = Renderer(crowd.pipeline, batch_images=2, on_gpu_lost=ended.append)
    futures = crowd.render(renderer, one_key(2))
    assert all(isinstance(f.exception(), torch.AcceleratorError) for f in futures)
    assert crowd.pipeline.batches[:2] == [1, 2]
    assert len(ended) == 2  # in this test the process lives, so the other row meets the error


def test_threads_at_random_all_get_their_own_images() -> None:
    rows = [(prepared(number=n % 3, width=32 + 16 * (n % 2)), range(n, n + 1)) for n in range(12)]
    renderer = Renderer(tiny(), batch_images=3)
    barrier = threading.Barrier(len(rows))

    def render(row: tuple[PreparedRequest, range]) -> Rendered:
        barrier.wait(WAIT_S)
        return renderer.render(*row)

    with ThreadPoolExecutor(len(rows)) as threads:
        rendered = list(threads.map(render, rows))
    for each, row in zip(rendered, rows, strict=True):
        assert levels_off(each.images[0], alone(row)[0]) <= 1


def test_with_a_step_cache_there_are_no_batches() -> None:
    drafts = USOPipeline(tiny().components, preset=PRESETS["draft"])
    assert Renderer(drafts, batch_images=4).queue.most_images(one_key(1)[0][0].batch_key) == 1
    assert Renderer(tiny(), batch_images=4).queue.most_images(one_key(1)[0][0].batch_key) == 4
