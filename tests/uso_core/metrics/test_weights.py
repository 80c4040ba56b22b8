"""Weights are found before anything is loaded, and their lack says what to download."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fresh_interpreter import loaded_after
from uso_core.errors import CheckpointError
from uso_core.metrics.weights import AESTHETIC, CLIP_B32, CSD, DINO_S16, VGG19, absolute


def test_a_lack_is_named_with_the_command_that_ends_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such folder.*2\.4 GB.*hf download tomg-group"):
        CSD.find(str(tmp_path / "nothing"))
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"lacks config\.json; download DINO"):
        DINO_S16.find(str(tmp_path))
    (tmp_path / "config.json").touch()
    assert DINO_S16.find(str(tmp_path)).names == ("model.safetensors", "config.json")
    with pytest.raises(CheckpointError, match=r"lacks tokenizer\.json, or vocab"):
        CLIP_B32.find(str(tmp_path))
    with pytest.raises(CheckpointError, match="give a folder or a Hub id"):
        VGG19.find("s3://bucket/vgg19.pth")


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"")
    assert AESTHETIC.find(str(file)).weight_paths == [file]


def test_other_weights_have_another_identity(tmp_path: Path) -> None:
    one, same, other = (tmp_path / f"{name}.pth" for name in ("one", "same", "other"))
    for path, content in ((one, b"a"), (same, b"a"), (other, b"b")):
        path.write_bytes(content)
    assert CSD.identity(str(one)) == CSD.identity(str(same)) != CSD.identity(str(other))


def test_a_path_becomes_absolute_and_a_hub_id_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "csd.pth").touch()
    assert absolute("csd.pth") == str(tmp_path / "csd.pth")
    assert absolute("facebook/dino-vits16") == "facebook/dino-vits16"


def test_looking_for_weights_loads_no_torch() -> None:
    assert loaded_after("import uso_core.metrics.weights").isdisjoint({"torch", "transformers"})
