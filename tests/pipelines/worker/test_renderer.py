from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipelines.config.model import ModelConfig
from pipelines.errors import StorageError
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
from uso_core.errors import CheckpointError, UnsupportedPresetError
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
    rendered = Renderer(tiny()).render(prepared(), range(5, 7))
    want = tiny()([request(seed=5, num_images=2)])
    assert [image.tobytes() for image in rendered.images] == [w.image.tobytes() for w in want]
    assert [image.size for image in rendered.images] == [(32, 48)] * 2
    assert rendered.prompt_truncated is False
    assert min(rendered.condition_ms, rendered.inference_ms, rendered.decode_ms) > 0


def test_threads_take_turns_and_waiting_is_not_device_time() -> None:
    renderer = Renderer(Misbehaving(lambda seed: time.sleep(0.1)))
    ready, times = prepared(), []
    threads = [
        threading.Thread(target=lambda: times.append(renderer.render(ready, range(1)).inference_ms))
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
    rendered = Renderer(pipeline, on_gpu_lost=ended.append).render(prepared(), range(2))
    assert ended == []
    assert pipeline.denoised == [0, 0, 1]
    assert [image.tobytes() for image in rendered.images] == [
        image.tobytes() for image in Renderer(tiny()).render(prepared(), range(2)).images
    ]
    assert fault.leaked == 0


def test_out_of_memory_twice_fails_the_row_and_the_renderer_lives() -> None:
    fault = OutOfMemory(2)
    pipeline = Misbehaving(fault)
    renderer = Renderer(pipeline)
    with pytest.raises(RowFailedError) as caught:
        renderer.render(prepared(), range(1))
    assert caught.value.failure.code == "out_of_memory"
    assert "32x48" in caught.value.failure.message
    assert renderer.render(prepared(), range(1)).images[0].size == (32, 48)
    assert fault.leaked == 0


def test_a_lost_gpu_ends_the_process_through_one_place() -> None:
    def lose(seed: int) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    ended: list[BaseException] = []
    with pytest.raises(torch.AcceleratorError):
        Renderer(Misbehaving(lose), on_gpu_lost=ended.append).render(prepared(), range(1))
    assert len(ended) == 1
    assert isinstance(ended[0], torch.AcceleratorError)


def test_other_errors_pass_through_and_release_the_device() -> None:
    fail = [True]

    def bug(seed: int) -> None:
        if fail:
            raise ZeroDivisionError(fail.pop())

    renderer = Renderer(Misbehaving(bug))
    with pytest.raises(ZeroDivisionError):
        renderer.render(prepared(), range(1))
    assert len(renderer.render(prepared(), range(1)).images) == 1


def test_loading_settles_device_and_dtype() -> None:
    pipeline = load_pipeline(ModelConfig(base="tiny:3", device="cpu"), {}, threads=1)
    assert isinstance(pipeline, USOPipeline)
    assert (pipeline.device.type, pipeline.dtype) == ("cpu", torch.float32)
    assert Renderer(pipeline).device_name == "cpu"


@pytest.mark.parametrize("base", ["/nowhere", "memory://nowhere/model"])
def test_missing_weights_are_told_before_a_device_that_cannot_run_them(
    tmp_path: Path, base: str
) -> None:
    model = ModelConfig(base=base, preset="fp8", cache_dir=str(tmp_path)).model_copy(
        update={"device": "cpu"}
    )
    with pytest.raises((CheckpointError, StorageError), match=r"nowhere"):
        load_pipeline(model, {}, threads=1)
    tiny = model.model_copy(update={"base": "tiny"})
    with pytest.raises(UnsupportedPresetError):
        load_pipeline(tiny, {}, threads=1)
