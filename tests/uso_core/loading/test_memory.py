from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.uso_core.checkpoints import edit_tensors
from tests.uso_core.loading.test_key_mapping import real_keys
from uso_core.loading.memory import WORKING_BYTES, memory_needed, transformer_bytes, weights_bytes
from uso_core.loading.model_configs import FLUX_DEV, transformer_arguments, vae_arguments
from uso_core.loading.source import ModelSource
from uso_core.loading.tiny import write_tiny_checkpoint
from uso_core.loading.weights import load_components
from uso_core.model.components import Components
from uso_core.pipeline import DEFAULT_CACHE_BYTES
from uso_core.presets import EXACT, PRESETS, PresetName


def loaded_bytes(components: Components, *names: str) -> int:
    modules = [
        module
        for name, module in vars(components).items()
        if isinstance(module, nn.Module) and (name in names or not names)
    ]
    return sum(p.numel() * p.element_size() for module in modules for p in module.parameters())


@pytest.mark.parametrize("name", ["exact", "low_vram"])
def test_it_is_the_size_of_the_loaded_weights(tmp_path: Path, name: PresetName) -> None:
    dtype = torch.bfloat16
    write_tiny_checkpoint(tmp_path, seed=0)
    source, preset = ModelSource(str(tmp_path)), replace(PRESETS[name], encoders="device")
    found = weights_bytes(source, dtype, preset)
    components = load_components(source, dtype=dtype, device=torch.device("cpu"), preset=preset)
    loaded = loaded_bytes(components)
    assert found == loaded
    assert memory_needed(source, dtype, preset) == found + WORKING_BYTES


def test_tensors_that_are_not_loaded_are_not_counted(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, seed=0)
    source, dtype = ModelSource(str(tmp_path)), torch.bfloat16
    before = weights_bytes(source, dtype)
    for file, key in (
        ("t5/model.safetensors", "decoder.block.0.layer.0.SelfAttention.q.weight"),
        ("siglip/model.safetensors", "text_model.head.weight"),
        ("clip/model.safetensors", "visual_projection.weight"),
    ):
        edit_tensors(tmp_path / file, partial(dict.update, **{key: torch.ones(99, 99)}))
    assert weights_bytes(source, dtype) == before


def test_encoders_on_the_host_count_nothing(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, seed=0)
    source, dtype = ModelSource(str(tmp_path)), torch.bfloat16
    components = load_components(source, dtype=dtype, device=torch.device("cpu"))
    encoders = loaded_bytes(components, "text_encoder", "text_encoder_2", "vae", "image_encoder")
    streamed = replace(EXACT, encoders="host")
    saved = weights_bytes(source, dtype) - weights_bytes(source, dtype, streamed)
    assert saved == encoders


def test_float8_is_made_of_weights_that_are_all_loaded(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path, seed=0)
    source, dtype = ModelSource(str(tmp_path)), torch.bfloat16
    fp8, loaded = weights_bytes(source, dtype, PRESETS["fp8"]), weights_bytes(source, dtype)
    assert fp8 < loaded
    assert memory_needed(source, dtype, PRESETS["fp8"]) == max(fp8 + WORKING_BYTES, loaded)


def test_a_tiny_model_fits_anywhere() -> None:
    assert memory_needed(ModelSource("tiny:3"), torch.bfloat16) == 0


GIB = 2**30
TRANSFORMER_GIB = {
    "exact": 22.2,
    "fp8": 14.2,
    "fp8+cache": 14.2,
    "draft": 22.2,
    "low_vram": 14.2,
    "tiny_vram": 1.4,
}
"""The values of docs/presets.md."""


@pytest.mark.parametrize("name", TRANSFORMER_GIB)
def test_the_real_transformer_takes_the_documented_memory(name: PresetName) -> None:
    with torch.device("meta"):
        flux = {**FLUX_DEV["flux_params"], "guidance_embed": True}
        transformer = FluxTransformer2DModel(**transformer_arguments(flux))
    numbers = sum(map(prod, real_keys("transformer").values()))
    assert sum(p.numel() for p in transformer.parameters()) == numbers
    size = transformer_bytes(transformer, torch.bfloat16, PRESETS[name])
    assert size / GIB == pytest.approx(TRANSFORMER_GIB[name], abs=0.05)


class Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's are not typed
    """Sums the tensors that are alive, for a device without its own memory counter."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._now = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        for result in results if isinstance(results, (tuple, list)) else (results,):
            if isinstance(result, torch.Tensor):
                self._add(result.untyped_storage())
        return results

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._sizes:
            self._sizes[key] = size
            self._now += size
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self._now -= self._sizes.pop(key)


def peak_gib(work: Callable[[], object]) -> float:
    peak = Peak()
    with torch.no_grad(), torch.device("meta"), peak:
        work()
    return peak.most / GIB


def test_decoding_beside_the_next_row_fits_the_requested_memory() -> None:
    with torch.device("meta"):
        vae = AutoencoderKL(**vae_arguments(FLUX_DEV["ae_params"])).eval()
    # At 512 pixels, the middle attention takes the least memory, as with a fused kernel.
    encoding = peak_gib(lambda: vae.encode(torch.empty(1, 3, 512, 512)).latent_dist.mean)
    decoding = 4 * peak_gib(lambda: vae.decode(torch.empty(1, 16, 64, 64)).sample)
    assert decoding == pytest.approx(3.0, abs=0.05)
    assert encoding == pytest.approx(0.6, abs=0.05)  # a block does not take more: see WORKING_BYTES
    kept = DEFAULT_CACHE_BYTES / GIB
    assert decoding + encoding + kept < WORKING_BYTES / GIB
