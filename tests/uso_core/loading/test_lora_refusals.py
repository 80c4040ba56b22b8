"""Files of which a part cannot be merged: they are rejected whole, unless that part is zero."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests.uso_core.loading.lora_files import RANK, Tensors, changes, check, numbers, write
from uso_core.errors import CheckpointError

Q = "transformer_blocks.0.attn.to_q.weight"
OUT = "transformer_blocks.0.attn.to_out.0.weight"
DOWN, UP = numbers(RANK, 64, seed=1), numbers(64, RANK, seed=2)
FLAT = "lora_unet_double_blocks_0_img_attn_proj"
KOHYA = {f"{FLAT}.lora_down.weight": DOWN, f"{FLAT}.lora_up.weight": UP}
DOTTED = "diffusion_model.double_blocks.0.img_attn.proj"
COMFYUI = {f"{DOTTED}.lora_down.weight": DOWN, f"{DOTTED}.lora_up.weight": UP}
PEFT = {f"transformer.{OUT[:-7]}.lora_A.weight": DOWN, f"transformer.{OUT[:-7]}.lora_B.weight": UP}

T5 = "text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q"
TEXT = "changes a text encoder"
NOWHERE, NO_PART = "names no layer", "is not a part of a LoRA"
PARTS = [
    (COMFYUI, f"{T5}.lora_up.weight", "ComfyUI", TEXT),
    (COMFYUI, f"{T5}.diff", "ComfyUI", TEXT),
    (COMFYUI, "text_encoders.clip_l.transformer.text_projection.lora_up.weight", "ComfyUI", TEXT),
    (COMFYUI, "text_encoders.clip_l.transformer.x.position_embedding.diff", "ComfyUI", TEXT),
    (KOHYA, "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", "kohya", TEXT),
    (KOHYA, "lora_te1_text_projection.lora_up.weight", "kohya", TEXT),
    (KOHYA, "lora_te_text_model_encoder_layers_0_mlp_fc1.diff_b", "kohya", TEXT),
    (KOHYA, "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_up.weight", "kohya", TEXT),
    (PEFT, "text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_B.weight", "diffusers", TEXT),
    (PEFT, "base_model.model.text_model.encoder.layers.0.mlp.fc1.lora_B.weight", "PEFT", TEXT),
    (KOHYA, "double_blocks.0.img_attn.norm.diff", "Black Forest Labs", NOWHERE),
    (KOHYA, "lora_unet_double_blocks_0_img_attn_norm_key_norm.diff_b", "kohya", NOWHERE),
    (KOHYA, "lora_unet_double_blocks_7_img_attn_proj.lora_up.weight", "kohya", NOWHERE),
    (PEFT, "transformer.transformer_blocks.0.attn.to_x.lora_B.weight", "diffusers", NOWHERE),
    (PEFT, "lora_transformer_single_blocks.lora_up.weight", "OneTrainer", NOWHERE),
    (KOHYA, "bundle_emb.mine.clip_l", "unknown layout", NO_PART),
    (PEFT, "transformer.proj_out.weight", "diffusers", NO_PART),
    (PEFT, "transformer.x_embedder.lora_A.bias", "diffusers", NO_PART),
    (COMFYUI, "diffusion_model.img_in.set_weight", "ComfyUI", NO_PART),
    (COMFYUI, "diffusion_model.img_in.reshape_weight", "ComfyUI", NO_PART),
    (COMFYUI, "double_blocks.0.img_attn.norm.key_norm.scale", "Black Forest Labs", NO_PART),
    (KOHYA, "lora_unet_img_in.hada_w1_a", "kohya, LoHa", NO_PART),
    (KOHYA, "lycoris_x_embedder.lokr_w1", "LyCORIS, LoKr", NO_PART),
    (PEFT, "transformer.x_embedder.oft_blocks", "diffusers, OFT", NO_PART),
    (PEFT, "base_model.model.x_embedder.boft_R", "PEFT, OFT", NO_PART),
    (KOHYA, "lora_unet_img_in.a1.weight", "kohya, GLoRA", NO_PART),
    (PEFT, "base_model.model.x_embedder.vera_lambda_b", "PEFT, another method of PEFT", NO_PART),
    (KOHYA, "lora_unet_img_in.lora_mid.weight", "kohya, LoCon", NO_PART),
]  # fmt: skip


def with_pair(key: str, up: torch.Tensor) -> Tensors:
    """A key, and the other tensors that a program writes beside it."""
    names = {".lora_up.": ".lora_down.", ".lora_B.": ".lora_A."}
    tensors = {key: up}
    for one, other in names.items():
        if one in key:
            alpha = {f"{key.partition(one)[0]}.alpha": torch.tensor(16.0)}
            tensors |= {key.replace(one, other): torch.ones(RANK, 64)} | alpha
    return tensors


@pytest.mark.parametrize(("rest", "key", "layout", "reason"), PARTS)
def test_a_part_that_cannot_be_merged_rejects_the_file(
    rest: Tensors, key: str, layout: str, reason: str, tmp_path: Path
) -> None:
    path = write(tmp_path, rest | with_pair(key, numbers(64, RANK, seed=5)))
    layer = re.escape(key.rpartition(".lora_")[0] or key)
    with pytest.raises(
        CheckpointError, match=rf"{layer}.* \(layout: {layout}\) {reason}"
    ) as caught:
        changes(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize(("rest", "key", "layout", "reason"), PARTS)
def test_only_a_part_that_changes_nothing_is_left_out(
    rest: Tensors, key: str, layout: str, reason: str, tmp_path: Path
) -> None:
    del layout, reason
    path = write(tmp_path, rest | with_pair(key, torch.zeros(64, RANK)))
    check(changes(path), {OUT: UP @ DOWN})


DOWN_KEY, UP_KEY, ALPHA_KEY = (
    f"{FLAT}.{x}" for x in ("lora_down.weight", "lora_up.weight", "alpha")
)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({}, "holds no LoRA"),
        ({"lora_te_x.diff": torch.zeros(64)}, "holds no LoRA"),
        ({UP_KEY: UP}, r"lora_up\.weight \(layout: kohya\) lacks the other matrix"),
        ({ALPHA_KEY: torch.tensor(4.0)}, r"alpha \(layout: kohya\) lacks the matrices"),
        (KOHYA | {ALPHA_KEY: torch.tensor(0.0)}, r"\.alpha .* is not one number other than 0"),
        (KOHYA | {ALPHA_KEY: torch.tensor(torch.nan)}, r"\.alpha .* is not one number"),
        (KOHYA | {ALPHA_KEY: torch.ones(2)}, r"\.alpha .* is not one number"),
        (KOHYA | {UP_KEY: UP[:32]}, r"lora_up.* is \[32, 4\] times \[4, 64\], expected \[64, 64\]"),
        (KOHYA | {UP_KEY: UP[:, :2]}, r"is \[64, 2\] times \[4, 64\], expected"),
        (KOHYA | {DOWN_KEY: DOWN[..., None, None]}, r"times \[4, 64, 1, 1\], expected"),
        (KOHYA | {DOWN_KEY: torch.tensor(1.0)}, r"is \[64, 4\] times \[\], expected"),
        ({UP_KEY: UP[:, :0], DOWN_KEY: DOWN[:0]}, "has rank 0"),
        (KOHYA | {UP_KEY: UP.to(torch.int8)}, "holds int8; quantized"),
        (KOHYA | {UP_KEY: UP / 0}, "holds numbers that are not finite"),
        (
            KOHYA | {UP_KEY: UP.where(UP < 2, torch.nan)},
            "lora_up.* holds numbers that are not finite",
        ),
        (KOHYA | COMFYUI, r"img_attn.proj.* changes .*to_out\.0\.weight a second time"),
        (KOHYA | PEFT, r"to_out.* a second time"),
        (KOHYA | {"img_in": numbers(64, 64)}, r"img_in \(layout: unknown layout\) is not a part"),
        (
            {ALPHA_KEY: torch.tensor(4.0), f"{FLAT}.lokr_w1": DOWN, f"{FLAT}.lokr_w2": DOWN},
            r"lokr_w1 \(layout: kohya, LoKr\) is not a part of a LoRA that can be merged",
        ),
        (
            {f"img_in.lora_A.{name}.weight": DOWN for name in ("one", "two")},
            r"lora_A\.two\.weight .* stands for the same as img_in\.lora_A\.one\.weight",
        ),
    ],
)
def test_files_that_cannot_be_merged_are_rejected(
    tensors: Tensors, reason: str, tmp_path: Path
) -> None:
    path = write(tmp_path, tensors)
    with pytest.raises(CheckpointError, match=reason) as caught:
        changes(path)
    assert caught.value.path == str(path)


def test_an_alpha_may_be_a_whole_number_or_a_list_of_one(tmp_path: Path) -> None:
    for alpha in (torch.tensor(2), torch.tensor([2.0]), torch.tensor(2.0, dtype=torch.bfloat16)):
        path = write(tmp_path, KOHYA | {f"{FLAT}.alpha": alpha})
        check(changes(path), {OUT: 0.5 * UP @ DOWN})


def test_a_negative_alpha_turns_the_effect_round(tmp_path: Path) -> None:
    path = write(tmp_path, KOHYA | {f"{FLAT}.alpha": torch.tensor(-4.0)})
    check(changes(path), {OUT: -UP @ DOWN})
