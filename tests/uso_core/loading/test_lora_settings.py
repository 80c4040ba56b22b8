"""Rank and alpha that are in the header of a LoRA file or in PEFT's file beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.uso_core.loading.lora_files import RANK, changes, check, numbers, write
from uso_core.errors import CheckpointError
from uso_core.loading.source import LoraFile, ModelSource, describe_model

Q, K = "transformer_blocks.0.attn.to_q", "transformer_blocks.1.attn.to_k"
DOWN, UP = numbers(RANK, 64, seed=1), numbers(64, RANK, seed=2)
PAIRS = {
    f"transformer.{name}.lora_{letter}.weight": tensor
    for name in (Q, K)
    for letter, tensor in (("A", DOWN), ("B", UP))
}


def header(**values: object) -> dict[str, str]:
    """Return the header that diffusers' `save_lora_weights` writes."""
    named = {f"transformer.{name}": value for name, value in values.items()}
    return {"format": "pt", "lora_adapter_metadata": json.dumps(named)}


def peft_files(folder: Path, values: Mapping[str, Any] | None) -> Path:
    """Write the files that PEFT's `save_pretrained` writes."""
    tensors = {f"base_model.model.{key[len('transformer.') :]}": t for key, t in PAIRS.items()}
    if values is not None:
        (folder / "adapter_config.json").write_text(json.dumps(values))
    return write(folder, tensors, {"format": "pt"}, name="adapter_model")


@pytest.mark.parametrize(
    ("values", "of_q", "of_k"),
    [
        ({"r": RANK, "lora_alpha": 32}, 8, 8),
        ({"r": RANK, "lora_alpha": 1}, 0.25, 0.25),
        ({"lora_alpha": 32, "use_rslora": True}, 32 / math.sqrt(RANK), 32 / math.sqrt(RANK)),
        ({"lora_alpha": 32, "alpha_pattern": {"to_q": 2}}, 0.5, 8),
        ({"lora_alpha": 32, "alpha_pattern": {f"^{K}": 6, "attn": 1}}, 8, 1.5),
        ({"lora_alpha": 32, "alpha_pattern": {r"transformer_blocks\.\d\.attn\.to_k": 6}}, 8, 1.5),
        ({"r": 16, "rank_pattern": {"to_q": 4, "to_k": 4}, "lora_alpha": 16}, 4, 4),
        ({"r": RANK, "lora_alpha": None}, 1, 1),
    ],
)
@pytest.mark.parametrize("where", ["header", "header without a prefix", "file"])
def test_the_scale_of_each_layer(
    where: str, values: dict[str, Any], of_q: float, of_k: float, tmp_path: Path
) -> None:
    if where == "file":
        path = peft_files(tmp_path, values)
    elif where == "header":
        path = write(tmp_path, PAIRS, header(**values))
    else:
        path = write(tmp_path, PAIRS, {"lora_adapter_metadata": json.dumps(values)})
    check(changes(path), {f"{Q}.weight": of_q * UP @ DOWN, f"{K}.weight": of_k * UP @ DOWN})


def test_another_components_settings_do_not_count(tmp_path: Path) -> None:
    values = {"text_encoder.lora_alpha": 32, "text_encoder.use_dora": True}
    path = write(tmp_path, PAIRS, {"lora_adapter_metadata": json.dumps(values)})
    check(changes(path), {f"{name}.weight": UP @ DOWN for name in (Q, K)})


def test_kohyas_alpha_in_the_header_does_not_count(tmp_path: Path) -> None:
    """Converters keep this header although the alpha is already in the matrices."""
    path = write(tmp_path, PAIRS, {"ss_network_alpha": "1", "ss_network_dim": "4"})
    check(changes(path), {f"{name}.weight": UP @ DOWN for name in (Q, K)})


def test_an_alpha_that_is_in_both_places_must_be_the_same(tmp_path: Path) -> None:
    alpha = {f"transformer.{Q}.alpha": torch.tensor(32.0)}
    path = write(tmp_path, PAIRS | alpha, header(r=RANK, lora_alpha=32))
    check(changes(path), {f"{name}.weight": 8 * UP @ DOWN for name in (Q, K)})
    path = write(tmp_path, PAIRS | alpha, header(r=RANK, lora_alpha=16))
    with pytest.raises(CheckpointError, match=r"to_q\.alpha .* scale 8, its settings give 4;"):
        changes(path)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"r": 8}, r"to_q\.lora_A\.weight \(layout: diffusers\) has rank 4, its settings say 8"),
        ({"use_dora": True}, r"to_q\.lora_A\.weight .* lacks the magnitude of a DoRA"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights is pissa_niter_4"),
        ({"peft_type": "LOHA"}, "peft_type is LOHA"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is set"),
        ({"lora_alpha": "32"}, "'32' is not a number"),
        ({"lora_alpha": math.inf}, "inf is not a number"),
        ({"alpha_pattern": ["to_q"]}, "is not an object"),
        ({"alpha_pattern": {"to_(q": 1}}, "lora_adapter_metadata: missing \\)"),
    ],
)
def test_settings_that_cannot_be_followed_reject_the_file(
    values: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    path = write(tmp_path, PAIRS, header(**values))
    with pytest.raises(CheckpointError, match=reason) as caught:
        changes(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("text", ["{", "[]", "8"])
def test_a_header_that_is_not_a_json_object_rejects_the_file(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, PAIRS, {"lora_adapter_metadata": text})
    with pytest.raises(CheckpointError, match=r"lora_adapter_metadata (cannot|is not)"):
        changes(path)


def test_a_file_of_peft_without_its_settings_is_rejected(tmp_path: Path) -> None:
    path = peft_files(tmp_path, None)
    for read in (changes, lambda path: describe_model(ModelSource("tiny", loras=(lora(path),)))):
        with pytest.raises(CheckpointError, match=r"adapter_config\.json .* put it there"):
            read(path)


def test_the_settings_beside_a_file_are_in_the_fingerprint(tmp_path: Path) -> None:
    def fingerprint(values: Mapping[str, Any]) -> str:
        path = peft_files(tmp_path, values)
        return describe_model(ModelSource("tiny", loras=(lora(path),))).fingerprint

    seen = {fingerprint({"lora_alpha": 4}), fingerprint({"lora_alpha": 8})}
    assert len(seen | {fingerprint({"lora_alpha": 4})}) == 2


def lora(path: Path) -> LoraFile:
    return LoraFile(str(path))
