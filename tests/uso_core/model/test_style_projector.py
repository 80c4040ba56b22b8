from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.uso_core.golden_checks import TOKENS
from tests.uso_core.goldens import GOLDENS, Case, case_names
from uso_core.model.components import Components
from uso_core.model.style_projector import LEVELS, StyleProjector

STYLED = [name for name in case_names() if Case(name).num_styles]


def test_real_size_has_the_originals_keys_and_shapes() -> None:
    with torch.device("meta"):
        projector = StyleProjector()
    keys = json.loads((GOLDENS / "units" / "real_keys_projector.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in projector.state_dict().items()} == keys


@pytest.mark.parametrize("name", STYLED)
def test_tokens_are_the_originals(name: str, golden_components: Components) -> None:
    golden = Case(name).tensors
    hidden_states = [torch.empty(0)] * 22
    for level in LEVELS.values():
        hidden_states[level] = golden[f"style0_hidden_m{-level}"]
    with torch.no_grad():
        tokens = golden_components.style_projector(tuple(hidden_states))
    assert (tokens - golden["style0_tokens"]).abs().max() <= TOKENS


def test_saves_and_loads_like_any_diffusers_model(tmp_path: Path) -> None:
    projector = StyleProjector(4, 9, 6, 8)
    projector.save_pretrained(tmp_path)
    loaded = StyleProjector.from_pretrained(tmp_path)
    assert dict(loaded.config)["siglip_token_dims"] == 6
    states = tuple(torch.randn(1, 9, 6, generator=torch.manual_seed(0)) for _ in range(22))
    with torch.no_grad():
        assert torch.equal(loaded(states), projector(states))
        assert loaded(states).shape == (1, 12, 8)
