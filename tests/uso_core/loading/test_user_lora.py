from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.uso_core.checkpoints import load, states
from uso_core.errors import CheckpointError
from uso_core.loading.fingerprint import file_digest
from uso_core.loading.source import LoraFile, ModelSource, describe_model

Q = "transformer_blocks.0.attn.to_q"
GENERATOR = torch.Generator().manual_seed(0)
DOWN, UP = (torch.randn(shape, generator=GENERATOR) for shape in ((2, 64), (64, 2)))
PEFT = {f"transformer.{Q}.lora_A.weight": DOWN, f"transformer.{Q}.lora_B.weight": UP}


def write(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    path = folder / "mine.safetensors"
    save_file(tensors, path)
    return path


def test_it_is_merged_beside_usos(tmp_path: Path) -> None:
    path = str(write(tmp_path, PEFT))
    plain = states(load(ModelSource("tiny")))
    merged = states(load(ModelSource("tiny", loras=(LoraFile(path, 2.0),))))
    name = f"transformer.{Q}.weight"
    torch.testing.assert_close(merged[name], plain[name] + 2 * UP @ DOWN)
    assert [key for key in plain if not torch.equal(plain[key], merged[key])] == [name]


def test_of_a_file_with_one_foreign_key_nothing_is_loaded(tmp_path: Path) -> None:
    path = write(tmp_path, PEFT | {"text_encoder.q.lora_A.weight": DOWN.clone()})
    with pytest.raises(CheckpointError, match=r"text_encoder\.q\.lora_A\.weight .* text encoder"):
        load(ModelSource("tiny", loras=(LoraFile(str(path)),)))


def test_biases_and_norms_are_merged_into_the_model(tmp_path: Path) -> None:
    """A tiny model's norms are vectors; both kinds of tensor are merged where they are loaded."""
    bias, norm = torch.full((64,), 0.25), torch.full((16,), -0.5)
    path = write(tmp_path, {"img_in.diff_b": bias, "single_blocks.1.norm.key_norm.diff": norm})
    plain = states(load(ModelSource("tiny")))
    merged = states(load(ModelSource("tiny", loras=(LoraFile(str(path), 2.0),))))
    added = {
        "transformer.x_embedder.bias": 2 * bias,
        "transformer.single_transformer_blocks.1.attn.norm_k.weight": 2 * norm,
    }
    for name, change in added.items():
        torch.testing.assert_close(merged[name], plain[name] + change)
    assert {key for key in plain if not torch.equal(plain[key], merged[key])} == set(added)


def test_content_and_weight_are_in_the_fingerprint(tmp_path: Path) -> None:
    def found(*loras: LoraFile) -> str:
        return describe_model(ModelSource("tiny", loras=loras)).fingerprint

    path = str(write(tmp_path, PEFT))
    seen = {found(), found(LoraFile(path)), found(LoraFile(path, 0.5))}
    write(tmp_path, {name: 2 * tensor for name, tensor in PEFT.items()})
    assert len(seen | {found(LoraFile(path))}) == 4


OLD_KOHYA = {"lora_unet_img_in.lora_down.weight": DOWN, "lora_unet_img_in.lora_up.weight": UP}
TEXT = {"lora_te1_x.lora_up.weight": UP, "text_encoders.clip_l.lora_up.weight": UP}
LAYER = f"transformer.{Q}"


@pytest.mark.parametrize(
    ("tensors", "header", "anew"),
    [
        (PEFT, None, False),
        (PEFT | {f"{LAYER}.alpha": torch.tensor(1.0)}, {"format": "pt"}, False),
        (OLD_KOHYA, {"ss_network_alpha": "1"}, False),
        (OLD_KOHYA | TEXT, None, False),
        ({f"{LAYER}.lora_down.weight": DOWN, f"{LAYER}.lora_up.weight": UP}, None, False),
        (PEFT, {"lora_adapter_metadata": "{}"}, True),
        (PEFT | {f"{LAYER}.dora_scale": UP[:, :1]}, None, True),
        (OLD_KOHYA | {"lora_unet_img_in.diff_b": UP[:, 0]}, None, True),
        (OLD_KOHYA | {"lora_unet_img_in_norm.diff": UP[:, 0]}, None, True),
        (OLD_KOHYA | PEFT, None, True),
        (OLD_KOHYA | {"img_in.lora_up.weight": UP}, None, True),
    ],
)
def test_a_file_that_was_read_in_part_has_a_new_fingerprint(
    tensors: dict[str, torch.Tensor], header: dict[str, str] | None, anew: bool, tmp_path: Path
) -> None:
    """Version 0.1.0 hashed the digests of the model and of the file, and the weight."""
    path = tmp_path / "mine.safetensors"
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path, header)
    base = describe_model(ModelSource("tiny")).fingerprint
    old = hashlib.sha256(f"{base}\n{file_digest(path)} 0.5".encode()).hexdigest()
    now = describe_model(ModelSource("tiny", loras=(LoraFile(str(path), 0.5),))).fingerprint
    assert (now != old) is anew


def test_a_lora_that_is_not_there_is_told_before_the_run() -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors: cannot be read"):
        describe_model(ModelSource("tiny", loras=(LoraFile("nowhere.safetensors"),)))
