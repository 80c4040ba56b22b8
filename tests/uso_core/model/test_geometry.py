from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxPosEmbed

from tests.uso_core.goldens import unit_rows, unit_tensors
from uso_core.model.geometry import pack, position_ids, unpack
from uso_core.model.sizes import Size

SHIFTS = {"d": (True, True), "h": (True, False), "w": (False, True), "o": (False, False)}
"""Shift of references by the original's `pe`: (along y, along x)."""


@pytest.mark.parametrize("row", unit_rows("position_ids"), ids=lambda row: f"row{row['id']}")
def test_positions_are_the_originals(row: dict[str, Any]) -> None:
    sizes = [Size(row["width"], row["height"]), *(Size(*ref) for ref in row["refs"])]
    shift_y, shift_x = SHIFTS[row["pe"]]
    ids = position_ids(sizes, shift_y=shift_y, shift_x=shift_x)
    assert len(ids) == len(row["parts"])
    for ours, part in zip(ids, row["parts"], strict=True):
        digest = hashlib.sha256(ours.to(torch.int32).numpy().tobytes()).hexdigest()
        assert digest == part["sha256_int32"], part["name"]


def test_references_lie_along_the_diagonal_by_default() -> None:
    row = next(row for row in unit_rows("position_ids") if len(row["refs"]) == 3)
    sizes = [Size(row["width"], row["height"]), *(Size(*ref) for ref in row["refs"])]
    assert [ids[0].tolist() for ids in position_ids(sizes)] == [p["first"] for p in row["parts"]]


def test_packing_is_the_originals() -> None:
    golden = unit_tensors("functions")
    assert torch.equal(pack(golden["pack_in"]), golden["pack_out"])
    assert torch.equal(unpack(golden["pack_out"], Size(32, 48)), golden["pack_in"])


def test_rotary_embeddings_are_the_originals() -> None:
    golden = unit_tensors("functions")
    cos, sin = FluxPosEmbed(10000, golden["rope_axes"].tolist())(golden["rope_ids"][0])
    rotation = golden["rope_pe"][0, 0]  # [n, 64, 2, 2]: ((cos, -sin), (sin, cos)) of each pair
    assert (cos[:, 0::2] - rotation[..., 0, 0]).abs().max() < 1e-6
    assert (cos[:, 1::2] - rotation[..., 1, 1]).abs().max() < 1e-6
    assert (sin[:, 0::2] - rotation[..., 1, 0]).abs().max() < 1e-6
    assert (sin[:, 1::2] + rotation[..., 0, 1]).abs().max() < 1e-6
