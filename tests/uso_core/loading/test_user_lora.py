from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.uso_core.checkpoints import load, states
from uso_core.errors import CheckpointError
from uso_core.loading.source import LoraFile, ModelSource, describe_model
from uso_core.loading.tensor_files import Shape, open_tensor_files
from uso_core.loading.user_lora import read_user_lora

Q, OUT = "transformer_blocks.0.attn.to_q", "transformer_blocks.0.attn.to_out.0"
SHAPES: dict[str, Shape] = {
    f"transformer_blocks.0.attn.{name}.weight": (8, 8)
    for name in ("to_q", "to_k", "to_v", "to_out.0")
}
GENERATOR = torch.Generator().manual_seed(0)
DOWN, UP = (torch.randn(shape, generator=GENERATOR) for shape in ((2, 8), (8, 2)))
PEFT = {f"transformer.{Q}.lora_A.weight": DOWN, f"transformer.{Q}.lora_B.weight": UP}
KOHYA_QKV = "lora_unet_double_blocks_0_img_attn_qkv"


def write(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = folder / "mine.safetensors"
    save_file(tensors, path)
    return path


def update(path: Path, layer: str, weight: float = 1.0) -> torch.Tensor:
    """Return the update of a layer's weight."""
    lora = read_user_lora(open_tensor_files([path]), SHAPES, weight)
    return lora.merged(f"{layer}.weight", torch.zeros(8, 8))


def test_diffusers_own_layout(tmp_path: Path) -> None:
    torch.testing.assert_close(update(write(tmp_path, PEFT), Q, 0.5), 0.5 * UP @ DOWN)


def test_an_alpha_is_a_share_of_the_rank(tmp_path: Path) -> None:
    path = write(tmp_path, PEFT | {f"transformer.{Q}.alpha": torch.tensor(1.0)})
    torch.testing.assert_close(update(path, Q), 0.5 * UP @ DOWN)


def test_kohyas_layout_with_fused_rows(tmp_path: Path) -> None:
    up = torch.randn(24, 2, generator=GENERATOR)
    path = write(
        tmp_path,
        {
            f"{KOHYA_QKV}.lora_down.weight": DOWN,
            f"{KOHYA_QKV}.lora_up.weight": up,
            f"{KOHYA_QKV}.alpha": torch.tensor(2.0),
        },
    )
    torch.testing.assert_close(update(path, Q), up[:8] @ DOWN)


def test_xlabs_layout(tmp_path: Path) -> None:
    stem = "double_blocks.0.processor.proj_lora1"
    path = write(tmp_path, {f"{stem}.down.weight": DOWN, f"{stem}.up.weight": UP})
    torch.testing.assert_close(update(path, OUT), UP @ DOWN)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        (
            PEFT | {"text_encoder.q.lora_A.weight": DOWN.clone()},
            r"text_encoder\.q\.lora_A\.weight is no",
        ),
        ({"transformer.x.weight": DOWN}, r"transformer\.x\.weight is not a LoRA key"),
        ({f"transformer.{Q}.lora_A.weight": DOWN}, "has only one of"),
        (
            PEFT | {f"transformer.{Q}.lora_B.weight": DOWN.clone()},
            r"\[2, 8\] times .*, expected \[8, 8\]",
        ),
        ({"foo.lora_down.weight": DOWN}, r"foo\.lora_down"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_key(
    tmp_path: Path, tensors: dict[str, torch.Tensor], reason: str
) -> None:
    path = write(tmp_path, tensors)
    with pytest.raises(CheckpointError, match=reason) as caught:
        read_user_lora(open_tensor_files([path]), SHAPES, 1.0)
    assert caught.value.path == str(path)


def test_it_is_merged_beside_usos(tmp_path: Path) -> None:
    down, up = (torch.randn(shape, generator=GENERATOR) for shape in ((2, 64), (64, 2)))
    lora = {f"transformer.{Q}.lora_A.weight": down, f"transformer.{Q}.lora_B.weight": up}
    path = str(write(tmp_path, lora))
    plain = states(load(ModelSource("tiny")))
    merged = states(load(ModelSource("tiny", loras=(LoraFile(path, 2.0),))))
    name = f"transformer.{Q}.weight"
    torch.testing.assert_close(merged[name], plain[name] + 2 * up @ down)
    assert [key for key in plain if not torch.equal(plain[key], merged[key])] == [name]


def test_content_and_weight_are_in_the_fingerprint(tmp_path: Path) -> None:
    def found(*loras: LoraFile) -> str:
        return describe_model(ModelSource("tiny", loras=loras)).fingerprint

    path = str(write(tmp_path, PEFT))
    seen = {found(), found(LoraFile(path)), found(LoraFile(path, 0.5))}
    write(tmp_path, {name: 2 * tensor for name, tensor in PEFT.items()})
    assert len(seen | {found(LoraFile(path))}) == 4


def test_a_lora_that_is_not_there_is_told_before_the_run() -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors: cannot be read"):
        describe_model(ModelSource("tiny", loras=(LoraFile("nowhere.safetensors"),)))
