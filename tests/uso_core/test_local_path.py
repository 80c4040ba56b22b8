from __future__ import annotations

from pathlib import Path

import pytest

from uso_core.errors import CheckpointError
from uso_core.loading.listing import list_files
from uso_core.loading.source import LoraFile, ModelSource, describe_model
from uso_core.local_path import local_path, tried_path


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("~/x", "home/x"), ("~", "home"), ("~nobody-here/x", "~nobody-here/x"), ("a/~/x", "a/~/x")],
)
def test_a_tilde_at_the_start_is_the_home_folder(tmp_path: Path, given: str, meant: str) -> None:
    assert local_path(given).absolute() == tmp_path / meant
    assert tried_path(given) == f" ({tmp_path / meant})"


@pytest.mark.parametrize("given", ["/x/y", "/x/y/", "s3://bucket/x", "file:///x"])
def test_messages_show_absolute_paths_and_urls_once(given: str) -> None:
    assert tried_path(given) == ""


@pytest.mark.parametrize(
    ("given", "meant"), [("~/model/", "home/model"), ("./model", "model"), ("~x/y/z", "~x/y/z")]
)
def test_a_missing_model_is_reported_with_its_absolute_path(
    tmp_path: Path, given: str, meant: str
) -> None:
    with pytest.raises(CheckpointError) as caught:
        list_files(given, None)
    assert f"({tmp_path / meant})" in str(caught.value)


def test_a_missing_lora_is_reported_with_its_absolute_path(tmp_path: Path) -> None:
    source = ModelSource(base="tiny", loras=(LoraFile("~/style.safetensors"),))
    with pytest.raises(CheckpointError) as caught:
        describe_model(source)
    assert str(caught.value).startswith(f"{tmp_path}/home/style.safetensors: ")


def test_the_url_of_a_lora_stays_as_it_is() -> None:
    assert LoraFile("s3://bucket/~/style.safetensors").path == "s3://bucket/~/style.safetensors"
