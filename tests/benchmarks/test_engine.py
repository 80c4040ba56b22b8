"""The engine's benchmark on the tiny model: it runs, and compares equal things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]  # it is public
from torch.autograd.profiler_util import FunctionEventAvg

from benchmarks.engine.__main__ import main
from benchmarks.engine.cases import TINY
from benchmarks.engine.measure import Way, distance, shares
from benchmarks.engine.models import random_model
from benchmarks.engine.original import OriginalWay
from benchmarks.engine.ways import assembled, make_way
from tests.uso_core.fake_gpu import GPU, fake_gpu
from uso_core.errors import UnsupportedPresetError
from uso_core.loading.lora import Lora
from uso_core.pipeline import USOPipeline

CPU = torch.device("cpu")
REQUEST = TINY[0].request(steps=2)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Use one thread: tiny models are slower on more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def latents(way: Way) -> torch.Tensor:
    return way.denoise(way.condition(way.prepare(REQUEST)), 3).tokens


def test_the_original_way_and_ours_generate_the_same() -> None:
    original = make_way("original", full=False, device=CPU, dtype=torch.float32)
    exact = make_way("exact", full=False, device=CPU, dtype=torch.float32)
    theirs, ours = latents(original), latents(exact)
    assert (theirs - ours).abs().max() < 1e-4
    model = random_model(full=False, device=CPU, dtype=torch.float32)
    without_lora = latents(USOPipeline(assembled(model), cache_bytes=0))
    assert (without_lora - ours).abs().max() > 1e-2


def test_the_original_way_runs_on_the_device_of_its_transformer() -> None:
    want = latents(make_way("original", full=False, device=CPU, dtype=torch.float32))
    model = random_model(full=False, device=CPU, dtype=torch.float32)
    with fake_gpu():
        model.transformer.to(GPU)
        for encoder in (
            "text_encoder",
            "text_encoder_2",
            "image_encoder",
            "style_projector",
            "vae",
        ):
            getattr(model.others, encoder).to(GPU)
        pairs = {name: (up.to(GPU), down.to(GPU)) for name, (up, down) in model.lora.pairs.items()}
        generated = latents(OriginalWay(replace(model, lora=Lora(pairs)))).cpu()
    assert (generated - want).abs().max() < 1e-4


def test_it_prints_its_tables_and_that_there_is_no_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--device", "cpu", "--steps", "1", "--images", "1", "--matmul-seconds", "0.01"]
    main([*small, "--ways", "original", "exact"])
    printed = capsys.readouterr().out
    assert "no GPU: the tiny model" in printed
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| 32x32")]
    ways = {(row[0], row[1]) for row in rows}
    assert ("| 32x32, content + style", "original") in ways
    assert ("| 32x32, content + style, 4 together", "exact") in ways
    assert len([line for line in printed.splitlines() if line.startswith("| `aten::")]) == 5


def test_measurements_are_printed_even_if_a_way_cannot_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ["--device", "cpu", "--steps", "1", "--images", "1", "--matmul-seconds", "0.01"]
    with pytest.raises(UnsupportedPresetError):
        main([*small, "--ways", "draft", "fp8, compiled"])
    assert "| 64x64, style only | draft |" in capsys.readouterr().out


def test_a_queue_runs_on_one_stream_and_on_two(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--device", "cpu", "--steps", "1", "--queue", "2", "--ways", "exact"])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| exact")]
    _, _, in_turn, beside, same_bytes, _ = row.split("|")
    assert min(float(in_turn), float(beside)) > 0
    assert same_bytes.strip() == "yes"


def test_on_a_gpu_the_time_of_kernels_is_not_counted_twice() -> None:
    def event(key: str, us: int, kind: DeviceType) -> FunctionEventAvg:
        average = FunctionEventAvg()
        average.key, average.device_type = key, kind
        average.self_device_time_total = us
        return average

    profile = [
        event("aten::mm", 30, DeviceType.CPU),
        event("nvjet", 30, DeviceType.CUDA),
        event("elementwise", 10, DeviceType.CUDA),
    ]
    assert shares(profile, on_gpu=True) == [("nvjet", 0.75), ("elementwise", 0.25)]


def test_distance_is_in_decibels_and_levels() -> None:
    image = TINY[0].request(steps=1).style_pictures[0]
    assert distance([image], [image]) == (float("inf"), 0)
    off_by_one = image.point([max(level - 1, 0) for level in range(256)] * 3)
    psnr, most = distance([off_by_one], [image])
    assert (round(psnr), most) == (48, 1)
