from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from uso_core.errors import CheckpointError
from uso_core.loading.lora import Lora, lora_shapes, read_lora
from uso_core.loading.tensor_files import open_tensor_files

HIDDEN = 8
SHAPES = {
    **{
        f"transformer_blocks.0.attn.{name}.weight": (HIDDEN, HIDDEN)
        for name in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj")
    },
    "transformer_blocks.0.attn.to_out.0.weight": (HIDDEN, HIDDEN),
    "transformer_blocks.0.attn.to_add_out.weight": (HIDDEN, HIDDEN),
    **{f"single_transformer_blocks.0.attn.to_{n}.weight": (HIDDEN, HIDDEN) for n in "qkv"},
    "single_transformer_blocks.0.proj_out.weight": (HIDDEN, 5 * HIDDEN),
}


def random_lora(rank: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(rank)
    return {
        key: torch.randn(shape, generator=generator)
        for key, shape in lora_shapes(SHAPES, rank).items()
    }


def write_lora(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = folder / "dit_lora.safetensors"
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("rank", [1, 4])
def test_fused_rows_go_to_query_key_and_value(tmp_path: Path, rank: int) -> None:
    tensors = random_lora(rank)
    lora = read_lora(open_tensor_files([write_lora(tmp_path, tensors)]), SHAPES)
    assert set(lora.pairs) == set(SHAPES)
    stem = "double_blocks.0.processor.qkv_lora2"
    product = tensors[f"{stem}.up.weight"] @ tensors[f"{stem}.down.weight"]
    for i, name in enumerate(("add_q_proj", "add_k_proj", "add_v_proj")):
        merged = lora.merged(f"transformer_blocks.0.attn.{name}.weight", torch.zeros(8, 8))
        torch.testing.assert_close(merged, product[8 * i : 8 * (i + 1)])


def test_sum_is_made_in_float32() -> None:
    """1 + 2⁻¹⁰ rounds to 1 in bfloat16."""
    up, down = torch.full((1, 1), 2**-5), torch.full((1, 1), 2**-5)
    lora = Lora({"w": (up.bfloat16(), down.bfloat16())})
    merged = lora.merged("w", torch.ones(1, 1, dtype=torch.bfloat16))
    assert merged.dtype == torch.float32
    assert merged.item() == 1 + 2**-10


def test_other_weights_stay_as_they_are() -> None:
    weight = torch.ones(2, dtype=torch.bfloat16)
    assert Lora({}).merged("norm.weight", weight) is weight


def test_mixed_ranks_are_refused(tmp_path: Path) -> None:
    odd = "single_blocks.0.processor.proj_lora.down.weight"
    path = write_lora(tmp_path, random_lora(4) | {odd: torch.zeros(2, 5 * HIDDEN)})
    with pytest.raises(CheckpointError, match=r"proj_lora\.down\.weight is \[2, 40\]") as caught:
        read_lora(open_tensor_files([path]), SHAPES)
    assert caught.value.path == str(path)


def test_a_lora_of_another_model_is_refused(tmp_path: Path) -> None:
    path = write_lora(tmp_path, {"unet.down_blocks.0.lora_A.weight": torch.zeros(1, 1)})
    with pytest.raises(CheckpointError, match=r"missing: double_blocks.*and 7 more; unknown: unet"):
        read_lora(open_tensor_files([path]), SHAPES)
