"""DoRA, whole differences and biases of LoRA files, each computed by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tests.uso_core.checkpoints import load, states
from tests.uso_core.loading.lora_files import RANK, Tensors, base, changes, check, numbers, write
from uso_core.errors import CheckpointError
from uso_core.loading.source import LoraFile, ModelSource

OUT = "transformer_blocks.0.attn.to_out.0"
FLAT = "lora_unet_double_blocks_0_img_attn_qkv"
QKV = [f"transformer_blocks.0.attn.to_{name}" for name in "qkv"]
DOWN, UP = numbers(RANK, 64, seed=1), numbers(64, RANK, seed=2)
PAIR = {f"transformer.{OUT}.lora_A.weight": DOWN, f"transformer.{OUT}.lora_B.weight": UP}
MAGNITUDE = numbers(64, seed=3).abs()


def dora_by_hand(weight: torch.Tensor, magnitude: torch.Tensor, scale: float) -> torch.Tensor:
    """Return what a DoRA adds to a weight, row by row (magnitude: one number for each row)."""
    rows = []
    for i, row in enumerate(weight):
        tuned = row + scale * UP[i] @ DOWN
        rows.append(magnitude[i] * tuned / math.sqrt(sum(float(x) ** 2 for x in tuned)) - row)
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("key", "magnitude"),
    [
        ("lora_magnitude_vector", MAGNITUDE),
        ("lora_magnitude_vector.weight", MAGNITUDE),
        ("lora_magnitude_vector.default.weight", MAGNITUDE),
        ("dora_scale", MAGNITUDE[:, None]),
    ],
)
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_a_dora_sets_the_norm_of_each_row(
    key: str, magnitude: torch.Tensor, weight: float, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        PAIR
        | {f"transformer.{OUT}.{key}": magnitude, f"transformer.{OUT}.alpha": torch.tensor(2.0)},
    )
    name = f"{OUT}.weight"
    expected = weight * dora_by_hand(base(name), MAGNITUDE, scale=2 / RANK)
    check(changes(path, weight), {name: expected})


def test_a_dora_may_give_the_norms_of_columns(tmp_path: Path) -> None:
    path = write(tmp_path, PAIR | {f"transformer.{OUT}.dora_scale": MAGNITUDE[None, :]})
    name = f"{OUT}.weight"
    tuned = base(name) + UP @ DOWN
    columns = [MAGNITUDE[j] * tuned[:, j] / tuned[:, j].square().sum().sqrt() for j in range(64)]
    check(changes(path), {name: torch.stack(columns, dim=1) - base(name)})


def test_a_dora_of_fused_rows_is_split(tmp_path: Path) -> None:
    up, magnitude = numbers(192, RANK, seed=4), numbers(192, 1, seed=5).abs()
    tensors = {f"{FLAT}.lora_down.weight": DOWN, f"{FLAT}.lora_up.weight": up}
    path = write(tmp_path, tensors | {f"{FLAT}.dora_scale": magnitude})
    weights = torch.cat([base(f"{name}.weight") for name in QKV])
    tuned = weights + up @ DOWN
    change = magnitude * tuned / tuned.square().sum(dim=1, keepdim=True).sqrt() - weights
    check(
        changes(path),
        {f"{name}.weight": change[64 * i : 64 * i + 64] for i, name in enumerate(QKV)},
    )


def test_a_dora_of_the_swapped_layer_is_swapped_with_its_magnitude(tmp_path: Path) -> None:
    stem = "lora_unet_final_layer_adaLN_modulation_1"
    up, magnitude = numbers(128, RANK, seed=6), numbers(128, 1, seed=7).abs()
    tensors = {f"{stem}.lora_down.weight": DOWN, f"{stem}.lora_up.weight": up}
    path = write(tmp_path, tensors | {f"{stem}.dora_scale": magnitude})
    name = "norm_out.linear.weight"
    up, magnitude = (torch.cat([rows[64:], rows[:64]]) for rows in (up, magnitude))
    tuned = base(name) + up @ DOWN
    change = magnitude * tuned / tuned.square().sum(dim=1, keepdim=True).sqrt() - base(name)
    check(changes(path), {name: change})


def test_an_untrained_dora_changes_nothing(tmp_path: Path) -> None:
    name = f"{OUT}.weight"
    norms = base(name).square().sum(dim=1).sqrt()
    tensors = {
        f"transformer.{OUT}.lora_A.weight": DOWN,
        f"transformer.{OUT}.lora_B.weight": torch.zeros(64, RANK),
        f"transformer.{OUT}.lora_magnitude_vector": norms,
    }
    check(changes(write(tmp_path, tensors)), {name: torch.zeros(64, 64)})


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("diffusion_model.img_in.diff", ["x_embedder.weight"]),
        ("lora_unet_img_in.diff_b", ["x_embedder.bias"]),
        ("lora_unet_double_blocks_0_img_attn_qkv.diff_b", [f"{name}.bias" for name in QKV]),
        (
            "diffusion_model.double_blocks.0.img_attn.norm.query_norm.diff",
            ["transformer_blocks.0.attn.norm_q.weight"],
        ),
        (
            "diffusion_model.double_blocks.0.txt_attn.norm.key_norm.scale.diff",
            ["transformer_blocks.0.attn.norm_added_k.weight"],
        ),
        ("transformer.norm_out.linear.diff_b", ["norm_out.linear.bias"]),
    ],
)
def test_whole_differences_are_added(key: str, names: list[str], tmp_path: Path) -> None:
    size = [base(name).shape for name in names]
    values = numbers(sum(shape[0] for shape in size), *size[0][1:], seed=8)
    start, expected = 0, {}
    for name, shape in zip(names, size, strict=True):
        expected[name] = 0.5 * values[start : start + shape[0]]
        start += shape[0]
    check(changes(write(tmp_path, {key: values}), 0.5), expected)


def test_a_swapped_layers_bias_is_swapped(tmp_path: Path) -> None:
    values = numbers(128, seed=9)
    path = write(tmp_path, {"diffusion_model.final_layer.adaLN_modulation.1.diff_b": values})
    check(changes(path), {"norm_out.linear.bias": torch.cat([values[64:], values[:64]])})


def test_a_trained_bias_of_peft_has_the_scale_of_its_matrices(tmp_path: Path) -> None:
    bias, stem = numbers(64, seed=10), f"transformer.{OUT}"
    path = write(tmp_path, PAIR | {f"{stem}.lora_B.bias": bias, f"{stem}.alpha": torch.tensor(8.0)})
    check(changes(path), {f"{OUT}.weight": 2 * UP @ DOWN, f"{OUT}.bias": 2 * bias})


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({f"transformer.{OUT}.dora_scale": MAGNITUDE}, r"dora_scale .* is \[64\], expected"),
        ({f"transformer.{OUT}.dora_scale": torch.ones(1, 32)}, r"is \[1, 32\], expected \[64, 1\]"),
        (
            {
                f"transformer.{OUT}.lora_B.bias": torch.ones(64),
                f"transformer.{OUT}.lora_magnitude_vector": MAGNITUDE,
            },
            r"lora_B\.bias .* is not defined for a DoRA",
        ),
        ({"transformer.proj_out.dora_scale": MAGNITUDE}, "dora_scale .* lacks the matrices"),
        ({"img_in.diff": torch.ones(64, 128)}, r"img_in\.diff .* is \[64, 128\], expected \[64"),
        ({f"transformer.{OUT}.diff": torch.ones(64, 64)}, "to_out.* a second time"),
        (
            {"double_blocks.0.img_attn.norm.query_norm.diff_b": torch.ones(16)},
            r"query_norm\.diff_b",
        ),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_reject_the_file(more: Tensors, reason: str, tmp_path: Path) -> None:
    path = write(tmp_path, PAIR | more)
    with pytest.raises(CheckpointError, match=reason) as caught:
        changes(path)
    assert caught.value.path == str(path)


def test_norms_across_fused_weights_reject_the_file(tmp_path: Path) -> None:
    tensors = {
        f"{FLAT}.lora_down.weight": DOWN,
        f"{FLAT}.lora_up.weight": numbers(192, RANK),
        f"{FLAT}.dora_scale": torch.ones(1, 64),
    }
    with pytest.raises(CheckpointError, match=rf"{FLAT}\.dora_scale \(layout: kohya\) gives norms"):
        changes(write(tmp_path, tensors))


def test_loras_are_computed_from_the_base_and_added_up(tmp_path: Path) -> None:
    """A DoRA beside USO's LoRA and a plain one changes the weight as it does alone."""
    dora = write(
        tmp_path, PAIR | {f"transformer.{OUT}.lora_magnitude_vector": MAGNITUDE}, name="dora"
    )
    plain = write(tmp_path, {key: 0.1 * tensor for key, tensor in PAIR.items()}, name="plain")
    found = {
        files: states(load(ModelSource("tiny", loras=files)))[f"transformer.{OUT}.weight"]
        for files in [
            (),
            (LoraFile(str(dora), 0.5),),
            (LoraFile(str(plain)),),
            (LoraFile(str(plain)), LoraFile(str(dora), 0.5)),
        ]
    }
    none, only_dora, only_plain, both = found.values()
    torch.testing.assert_close(only_plain - none, 0.01 * UP @ DOWN, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(both - none, (only_dora - none) + (only_plain - none))
