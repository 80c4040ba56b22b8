"""Two streams of a GPU: the same images, and nothing that waits in between."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pipelines.worker.batch_queue import Rendered
from pipelines.worker.device_streams import DeviceStreams, GpuStream, device_streams
from pipelines.worker.renderer import Renderer
from tests.pipelines.worker.rendering import prepared
from uso_core.loading.source import ModelSource
from uso_core.model.conditioning import Conditioning
from uso_core.model.denoise import Latents, OnStep
from uso_core.pipeline import USOPipeline
from uso_core.presets import EXACT

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def pipeline() -> USOPipeline:
    source = ModelSource("tiny:0")
    return USOPipeline.load(source, dtype=torch.bfloat16, device="cuda", preset=EXACT)


@pytest.fixture(autouse=True)
def _waiting_is_allowed_again() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


def render_all(renderer: Renderer, count: int, *, images: int = 2) -> list[Rendered]:
    """Rows of three shapes, from as many threads."""
    ready = [prepared(number=n, width=32 + 16 * (n % 3)) for n in range(count)]
    with ThreadPoolExecutor(count) as threads:
        return list(
            threads.map(renderer.render, ready, [range(n, n + images) for n in range(count)])
        )


def test_decoding_beside_the_next_row_changes_no_byte(pipeline: USOPipeline) -> None:
    one_stream = DeviceStreams(device_streams(pipeline.device, beside=True).denoising)
    want = render_all(Renderer(pipeline, streams=one_stream), 12)
    renderer = Renderer(pipeline)
    assert renderer.decodes_beside
    for _ in range(3):
        got = render_all(renderer, 12)
        for ours, theirs in zip(got, want, strict=True):
            assert [i.tobytes() for i in ours.images] == [i.tobytes() for i in theirs.images]


def test_nothing_waits_but_for_events(pipeline: USOPipeline) -> None:
    renderer = Renderer(pipeline)
    renderer.render(prepared(number=1), range(1))  # libraries set themselves up at their first call
    ready = prepared(number=2)
    torch.cuda.set_sync_debug_mode("error")
    assert renderer.render(ready, range(2)).images


def test_times_are_the_devices(pipeline: USOPipeline) -> None:
    renderer = Renderer(pipeline)
    began = time.perf_counter()
    rows = render_all(renderer, 6)
    wall_ms = 1e3 * (time.perf_counter() - began)
    for rendered in rows:
        assert min(rendered.condition_ms, rendered.inference_ms, rendered.decode_ms) > 0
    assert sum(rendered.condition_ms + rendered.inference_ms for rendered in rows) <= wall_ms
    assert sum(rendered.decode_ms for rendered in rows) <= wall_ms


def test_a_model_that_cannot_decode_beside_gets_one_stream() -> None:
    assert device_streams(torch.device("cuda"), beside=False).decoding is None


def test_a_stream_follows_a_marker_of_the_other() -> None:
    one, other = (GpuStream(torch.cuda.Stream()) for _ in range(2))  # type: ignore[no-untyped-call]
    with one.current():
        begin = one.mark()
        torch.cuda._sleep(200_000_000)  # type: ignore[no-untyped-call]  # cycles: 0.1 s
        number = torch.ones(1, device="cuda")
        end = one.mark()
    other.follow(end)
    with other.current():
        double = number * 2
        other.mark().wait()
    assert double.item() == 2
    assert end.ms_since(begin) > 50


class Slow(USOPipeline):
    """Keeps the device busy for about a second after each batch.

    Attributes:
        submitted: time at which each batch had been submitted.
    """

    def __init__(self, pipeline: USOPipeline) -> None:
        super().__init__(pipeline.components)
        self.submitted: list[float] = []

    def denoise_batch(
        self,
        conditionings: Sequence[Conditioning],
        seeds: Sequence[int],
        on_step: OnStep | None = None,
    ) -> list[Latents]:
        latents = super().denoise_batch(conditionings, seeds, on_step)
        torch.cuda._sleep(2_000_000_000)  # type: ignore[no-untyped-call]
        self.submitted.append(time.perf_counter())
        return latents


def test_a_row_is_submitted_while_the_one_before_is_at_work(
    pipeline: USOPipeline,
) -> None:
    slow = Slow(pipeline)
    renderer = Renderer(slow)
    renderer.render(prepared(number=9), range(1))  # libraries set themselves up at their first call
    began = time.perf_counter()
    render_all(renderer, 2, images=1)
    assert slow.submitted[2] - began < 0.5 * (time.perf_counter() - began)
