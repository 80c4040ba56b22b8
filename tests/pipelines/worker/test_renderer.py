from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import torch

from pipelines.config.model import ModelConfig
from pipelines.failures import RowFailedError
from pipelines.worker.loading import load_pipeline
from pipelines.worker.renderer import Renderer
from tests.pipelines.pictures import picture
from tests.pipelines.tiny_models import (
    Misbehaving,
    OutOfMemory,
    cuda_short_of_memory,
    short_of_memory,
    tiny,
)
from uso_core.model.inputs import PreparedRequest
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizeRequest


def request(*, seed: int = 0, num_images: int = 1) -> StylizeRequest:
    return StylizeRequest(
        prompt="a boat",
        content_image=picture(),
        style_images=[picture(seed=1)],
        width=32,
        height=48,
        num_steps=2,
        content_long_size=32,
        seed=seed,
        num_images=num_images,
    )


def prepared() -> PreparedRequest:
    return tiny().prepare(request())


def test_the_images_are_those_of_the_pipeline() -> None:
    drawing = Renderer(tiny()).draw(prepared(), range(5, 7))
    want = tiny()([request(seed=5, num_images=2)])
    assert [image.tobytes() for image in drawing.images] == [w.image.tobytes() for w in want]
    assert [image.size for image in drawing.images] == [(32, 48)] * 2
    assert drawing.prompt_truncated is False
    assert min(drawing.condition_ms, drawing.inference_ms, drawing.decode_ms) > 0


def test_threads_take_turns_and_waiting_is_not_device_time() -> None:
    drawer = Renderer(Misbehaving(lambda seed: time.sleep(0.1)))
    ready, times = prepared(), []
    threads = [
        threading.Thread(target=lambda: times.append(drawer.draw(ready, range(1)).inference_ms))
        for _ in range(3)
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 3
    assert min(times) >= 100
    assert sum(times) <= (time.monotonic() - started) * 1e3


@pytest.mark.parametrize("error", [short_of_memory, cuda_short_of_memory])
def test_out_of_memory_once_is_survived_with_the_same_image(
    error: Callable[[], RuntimeError],
) -> None:
    fault, ended = OutOfMemory(1, error), list[BaseException]()
    pipeline = Misbehaving(fault)
    drawing = Renderer(pipeline, on_gpu_lost=ended.append).draw(prepared(), range(2))
    assert ended == []
    assert pipeline.drawn == [0, 0, 1]
    assert [image.tobytes() for image in drawing.images] == [
        image.tobytes() for image in Renderer(tiny()).draw(prepared(), range(2)).images
    ]
    assert fault.leaked == 0


def test_out_of_memory_twice_fails_the_row_and_the_drawer_lives() -> None:
    fault = OutOfMemory(2)
    pipeline = Misbehaving(fault)
    drawer = Renderer(pipeline)
    with pytest.raises(RowFailedError) as caught:
        drawer.draw(prepared(), range(1))
    assert caught.value.failure.code == "out_of_memory"
    assert "32x48" in caught.value.failure.message
    assert drawer.draw(prepared(), range(1)).images[0].size == (32, 48)
    assert fault.leaked == 0


def test_a_lost_gpu_ends_the_process_through_one_place() -> None:
    def lose(seed: int) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    ended: list[BaseException] = []
    with pytest.raises(torch.AcceleratorError):
        Renderer(Misbehaving(lose), on_gpu_lost=ended.append).draw(prepared(), range(1))
    assert len(ended) == 1
    assert isinstance(ended[0], torch.AcceleratorError)


def test_other_errors_pass_through_and_release_the_turn() -> None:
    fail = [True]

    def bug(seed: int) -> None:
        if fail:
            raise ZeroDivisionError(fail.pop())

    drawer = Renderer(Misbehaving(bug))
    with pytest.raises(ZeroDivisionError):
        drawer.draw(prepared(), range(1))
    assert len(drawer.draw(prepared(), range(1)).images) == 1


def test_loading_settles_device_and_dtype() -> None:
    pipeline = load_pipeline(ModelConfig(base="tiny:3", device="cpu"), {}, threads=1)
    assert isinstance(pipeline, USOPipeline)
    assert (pipeline.device.type, pipeline.dtype) == ("cpu", torch.float32)
    assert Renderer(pipeline).device_name == "cpu"
