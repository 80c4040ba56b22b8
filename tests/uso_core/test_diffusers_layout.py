from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.uso_core.checkpoints import edit_json, edit_tensors, load, states
from tests.uso_core.goldens import CHECKPOINT
from uso_core.errors import CheckpointError
from uso_core.loading.key_mapping import transformer_rules
from uso_core.loading.source import ModelSource, describe_model
from uso_core.model.components import Components

GOLDEN_USO: dict[str, Any] = {"uso": str(CHECKPOINT), "siglip": str(CHECKPOINT / "siglip")}


def unmerged(transformer: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the golden transformer's tensors before the LoRA, by diffusers' names."""
    original = load_file(CHECKPOINT / "flux1-dev.safetensors")
    module = transformer.state_dict()
    state = {}
    for rule in transformer_rules(2, 3, guidance=True):
        whole = original[rule.source]
        if rule.transform == "halves_swapped":
            whole = torch.cat([whole[len(whole) // 2 :], whole[: len(whole) // 2]])
        rows = [len(module[t]) if t in module else len(whole) for t in rule.targets]
        for target, part in zip(rule.targets, torch.split(whole, rows), strict=True):
            state[target] = part.contiguous()
    return state


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the golden checkpoint with diffusers and transformers, sharded."""
    folder = tmp_path_factory.mktemp("my-flux")
    components = load(CHECKPOINT)
    transformer = type(components.transformer).from_config(components.transformer.config)
    transformer.load_state_dict(unmerged(components.transformer), strict=True)
    transformer.save_pretrained(folder / "transformer", max_shard_size="500KB")
    components.vae.save_pretrained(folder / "vae")
    components.text_encoder.save_pretrained(folder / "text_encoder")
    components.text_encoder_2.save_pretrained(folder / "text_encoder_2", max_shard_size="40KB")
    components.tokenizer.save_pretrained(folder / "tokenizer")
    components.tokenizer_2.save_pretrained(folder / "tokenizer_2")
    (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    return folder


def copy(folder: Path, to: Path) -> Path:
    for file in folder.rglob("*"):
        if file.is_file():
            target = to / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file)
    return to


def test_gives_the_same_model(saved: Path, golden_components: Components) -> None:
    assert len(list((saved / "transformer").glob("*.safetensors"))) > 2
    assert len(list((saved / "text_encoder_2").glob("*.safetensors"))) > 1
    loaded = load(ModelSource(str(saved), **GOLDEN_USO))
    ours, theirs = states(loaded), states(golden_components)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    assert loaded.vae.config.shift_factor == golden_components.vae.config.shift_factor


def test_tokenizers_are_the_same(saved: Path, golden_components: Components) -> None:
    loaded = load(ModelSource(str(saved), **GOLDEN_USO))
    text = "Ghibli style, the man on the beach — café 日本"
    for name in ("tokenizer", "tokenizer_2"):
        ours, theirs = getattr(loaded, name), getattr(golden_components, name)
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]


def test_its_card(saved: Path) -> None:
    card = describe_model(ModelSource(str(saved), **GOLDEN_USO))
    assert (card.layout, card.name) == ("diffusers", saved.name)
    assert card.limits.max_size == 1536


def test_a_missing_shard_is_named(saved: Path, tmp_path: Path) -> None:
    folder = copy(saved, tmp_path)
    next(folder.glob("transformer/*-00002-of-*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match=r"lacks transformer \(diffusion_pytorch_model"):
        describe_model(ModelSource(str(folder), **GOLDEN_USO))


def test_every_key_must_match(saved: Path, tmp_path: Path) -> None:
    folder = copy(saved, tmp_path)
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    edit_tensors(path, lambda tensors: tensors.pop("decoder.conv_in.bias"))
    with pytest.raises(CheckpointError, match=r"missing: decoder\.conv_in\.bias") as caught:
        load(ModelSource(str(folder), **GOLDEN_USO))
    assert caught.value.path == str(path)


@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_another_architecture_is_refused(saved: Path, tmp_path: Path, part: str) -> None:
    folder = copy(saved, tmp_path)
    edit_json(folder / part / "config.json", _class_name="SD3Transformer2DModel")
    with pytest.raises(CheckpointError, match="_class_name is 'SD3Transformer2DModel'") as caught:
        load(ModelSource(str(folder), **GOLDEN_USO))
    assert caught.value.path == str(folder / part / "config.json")
