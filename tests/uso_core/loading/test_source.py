from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.uso_core.checkpoints import DOWNLOADED, edit_json, link_checkpoint
from tests.uso_core.goldens import CHECKPOINT
from uso_core.errors import CheckpointError
from uso_core.loading.listing import list_files
from uso_core.loading.source import (
    ModelSource,
    describe_model,
    find_model,
    pin_revisions,
    tiny_seed,
)
from uso_core.loading.tiny_configs import TINY_LIMITS
from uso_core.request import Limits

FLAT: dict[str, Any] = {"uso": "nobody/uso", "siglip": "nobody/siglip"}
"""Hub ids that must not be looked up: the base holds these files."""


def describe(folder: Path) -> str:
    return describe_model(ModelSource(str(folder), **FLAT)).fingerprint


def missing(folder: Path, *names: str) -> CheckpointError:
    for name in names:
        (folder / name).unlink()
    with pytest.raises(CheckpointError) as caught:
        find_model(ModelSource(str(folder), uso=str(folder), siglip=str(folder)))
    return caught.value


def test_card_of_the_golden_checkpoint() -> None:
    card = describe_model(ModelSource(str(CHECKPOINT), **FLAT))
    assert (card.name, card.layout, card.limits) == ("tiny", "original", TINY_LIMITS)
    assert len(card.fingerprint) == 64


def test_describing_costs_no_torch() -> None:
    code = (
        "import sys; from uso_core import ModelSource, describe_model; "
        f"print(describe_model(ModelSource({str(CHECKPOINT)!r})).fingerprint); "
        "print({'torch', 'transformers', 'diffusers', 'ray', 'pyarrow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [describe(CHECKPOINT), "set()"]


@pytest.mark.parametrize(("base", "seed"), [("tiny", 0), ("tiny:0", 0), ("tiny:12", 12)])
def test_tiny_models_need_no_files(base: str, seed: int) -> None:
    card = describe_model(ModelSource(base))
    assert (card.name, card.layout, card.limits) == (f"tiny:{seed}", "tiny", TINY_LIMITS)
    assert tiny_seed(base) == seed
    assert pin_revisions(ModelSource(base)) == ModelSource(base)


def test_tiny_models_differ_by_seed() -> None:
    prints = {describe_model(ModelSource(base)).fingerprint for base in ("tiny", "tiny:1")}
    assert len(prints) == 2
    assert describe_model(ModelSource("tiny")) == describe_model(ModelSource("tiny:0"))


@pytest.mark.parametrize("base", ["tiny:", "tiny:x", "tiny:-1", "tiny:1.5"])
def test_a_tiny_seed_is_a_number(base: str) -> None:
    with pytest.raises(CheckpointError, match="SEED from 0"):
        describe_model(ModelSource(base))


def test_without_settings_it_is_flux_dev(tmp_path: Path) -> None:
    folder = link_checkpoint(tmp_path / "weights")
    (folder / "config.json").unlink()
    card = describe_model(ModelSource(str(folder), **FLAT))
    assert (card.name, card.limits) == ("black-forest-labs/FLUX.1-dev", Limits())


def test_settings_may_give_limits(tmp_path: Path) -> None:
    folder = link_checkpoint(tmp_path)
    limits = Limits(min_size=32, default_size=128)
    edit_json(folder / "config.json", limits=asdict(limits))
    assert describe_model(ModelSource(str(folder), **FLAT)).limits == limits
    edit_json(folder / "config.json", limits={"smallest": 3})
    with pytest.raises(CheckpointError, match=r"limits: .*smallest") as caught:
        describe_model(ModelSource(str(folder), **FLAT))
    assert caught.value.path == str(folder / "config.json")


def test_name_tells_nothing_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = link_checkpoint(tmp_path / "jane.doe" / "my-model")
    assert describe_model(ModelSource(str(folder) + "/", **FLAT)).name == "my-model"
    monkeypatch.chdir(folder)
    assert describe_model(ModelSource(".", **FLAT)).name == "my-model"


def test_name_in_the_hubs_cache_is_the_hub_id(tmp_path: Path) -> None:
    folder = link_checkpoint(tmp_path / "models--jane--my-model" / "snapshots" / ("0" * 40))
    assert describe_model(ModelSource(str(folder), **FLAT)).name == "jane/my-model"


def test_original_downloaders_folders(tmp_path: Path) -> None:
    model = find_model(ModelSource(str(link_checkpoint(tmp_path, DOWNLOADED)), **FLAT))
    assert model.components["lora"].weights == ("USO/uso_flux_v1.0/dit_lora.safetensors",)
    assert model.components["tokenizer_2"].folder == tmp_path / "t5-xxl"
    assert len(model.components) == 11


def test_of_several_transformers_one_must_be_given(tmp_path: Path) -> None:
    folder = link_checkpoint(tmp_path, DOWNLOADED)
    (folder / "config.json").unlink()
    krea = folder / "FLUX.1-Krea-dev" / "flux1-krea-dev.safetensors"
    krea.parent.mkdir()
    krea.symlink_to(CHECKPOINT / "flux1-dev.safetensors")
    with pytest.raises(CheckpointError, match="holds several models: FLUX"):
        describe_model(ModelSource(str(folder), **FLAT))
    card = describe_model(ModelSource(str(krea), **FLAT))
    assert card.name == "black-forest-labs/FLUX.1-Krea-dev"
    assert find_model(ModelSource(str(krea), **FLAT)).components["transformer"].weight_paths == [
        krea
    ]


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    folder = link_checkpoint(tmp_path)
    error = missing(folder, "ae.safetensors", "t5/spiece.model", "clip/merges.txt")
    assert error.path == str(folder)
    assert "vae (ae.safetensors in . or FLUX.1-dev or" in error.reason
    assert "tokenizer (tokenizer.json or vocab.json+merges.txt in clip or" in error.reason
    assert "tokenizer_2 (tokenizer.json or spiece.model in t5 or t5-xxl)" in error.reason
    assert "download flux1-dev.safetensors" in error.reason


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("projector.safetensors", "hf download bytedance-research/USO"),
        ("siglip/preprocessor_config.json", "hf download google/siglip-so400m-patch14-384"),
        ("flux1-dev.safetensors", "neither transformer/config.json (diffusers"),
    ],
)
def test_a_missing_file_says_what_to_do(tmp_path: Path, name: str, advice: str) -> None:
    assert advice in missing(link_checkpoint(tmp_path), name).reason


def test_a_name_that_is_too_long_for_a_file() -> None:
    with pytest.raises(CheckpointError, match="it cannot be read"):
        list_files("x" * 5000, None)


def test_no_such_folder() -> None:
    with pytest.raises(CheckpointError, match="/no/such/folder: there is no such folder"):
        describe_model(ModelSource("/no/such/folder"))


def test_fingerprint_is_of_the_contents_alone(tmp_path: Path) -> None:
    flat = link_checkpoint(tmp_path / "a")
    (flat / "notes.txt").write_text("not part of the model")
    copied = link_checkpoint(tmp_path / "b", DOWNLOADED)
    (copied / "config.json").unlink()
    (copied / "config.json").write_bytes((CHECKPOINT / "config.json").read_bytes())
    os.utime(copied / "config.json", (0, 0))
    assert describe(flat) == describe(copied) == describe(CHECKPOINT)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "flux1-dev.safetensors",
        "dit_lora.safetensors",
        "projector.safetensors",
        "ae.safetensors",
        "t5/model.safetensors",
        "t5/spiece.model",
        "clip/config.json",
        "clip/vocab.json",
        "siglip/model.safetensors",
        "siglip/preprocessor_config.json",
    ],
)
def test_fingerprint_follows_every_file(tmp_path: Path, name: str) -> None:
    folder = link_checkpoint(tmp_path)
    data = (folder / name).read_bytes()
    changed = data + b" " if name.endswith(".json") else data[:-1] + bytes([data[-1] ^ 1])
    (folder / name).unlink()
    (folder / name).write_bytes(changed)
    assert describe(folder) != describe(CHECKPOINT)


@pytest.mark.parametrize("name", ["flux1-dev.safetensors", "siglip/model.safetensors"])
def test_a_file_cut_short_is_seen_before_loading(tmp_path: Path, name: str) -> None:
    folder = link_checkpoint(tmp_path)
    (folder / name).unlink()
    (folder / name).write_bytes((CHECKPOINT / name).read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="fetch it again") as caught:
        describe(folder)
    assert caught.value.path == str(folder / name)
