from __future__ import annotations

import pickle

import pytest
import torch

from pipelines.worker.gpu_memory import GpuFullError, await_free_memory
from uso_core.errors import UsoError

GPU = torch.device("cuda", 0)
GB = 2**30


class Gpu:
    """Plays a GPU of 80 GB whose free memory changes from one look to the next."""

    def __init__(self, *free_gb: int) -> None:
        self.looks = 0
        self.slept: list[float] = []
        self._free = free_gb

    def measure(self, device: torch.device) -> tuple[int, int]:
        free = self._free[min(self.looks, len(self._free) - 1)]
        self.looks += 1
        return free * GB, 80 * GB

    def wait(self, needed_gb: int, **presets_gb: int) -> None:
        presets = {name: size * GB for name, size in presets_gb.items()}
        await_free_memory(
            GPU, needed_gb * GB, presets=presets, measure=self.measure, sleep=self.slept.append
        )


def test_where_there_is_room_nothing_is_waited_for() -> None:
    gpu = Gpu(60)
    gpu.wait(40)
    assert (gpu.looks, gpu.slept) == (1, [])


def test_memory_of_a_process_that_is_ending_is_waited_for() -> None:
    gpu = Gpu(5, 5, 5, 78)
    gpu.wait(40)
    assert gpu.slept == [1, 1, 1]


def test_a_gpu_that_stays_full_is_told_with_figures() -> None:
    gpu = Gpu(5)
    with pytest.raises(
        GpuFullError,
        match=r"needs 40\.0 GiB, and cuda:0 has 5\.0 free of 80\.0; see with nvidia-smi",
    ):
        gpu.wait(40)
    assert sum(gpu.slept) == pytest.approx(61)


def test_a_gpu_that_is_too_small_is_told_at_once() -> None:
    gpu = Gpu(80)
    with pytest.raises(GpuFullError, match="larger GPU"):
        gpu.wait(100)
    assert gpu.slept == []


@pytest.mark.parametrize(("free_gb", "name"), [(22, "low_vram"), (15, "tiny_vram")])
def test_the_first_preset_that_fits_is_named(free_gb: int, name: str) -> None:
    with pytest.raises(GpuFullError, match=rf"with model\.preset: {name} it needs"):
        Gpu(free_gb).wait(100, low_vram=19, tiny_vram=6)


def test_the_error_survives_pickle() -> None:
    error = GpuFullError("cuda:0", 1, 2, 3, ("low_vram", 1))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert isinstance(error, UsoError)  # `uso generate` shows it without a traceback
