"""The user's own LoRAs at a URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from safetensors.torch import save

from pipelines.config.model import LoraConfig, ModelConfig
from pipelines.errors import StorageError
from pipelines.worker.model_files import localize
from pipelines.worker.sparse_copy import sparse_copy
from uso_core.loading.source import LoraFile, ModelSource, describe_model

LAYER = "transformer.transformer_blocks.0.attn.to_q"


def lora(scale: float = 1.0) -> bytes:
    down, up = torch.full((2, 64), scale), torch.ones(64, 2)
    return save({f"{LAYER}.lora_A.weight": down, f"{LAYER}.lora_B.weight": up})


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    url = f"memory://models/{request.node.name}/ink.safetensors"
    write(url, lora())
    return url


def write(url: str, content: bytes) -> None:
    filesystem, path = fsspec.url_to_fs(url)
    filesystem.pipe_file(path, content)


def config(url: str, cache: Path) -> ModelConfig:
    return ModelConfig(
        base="tiny", loras=[LoraConfig(path=url, weight=0.5)], cache_dir=str(cache / "cache")
    )


def test_it_is_pulled_and_the_same_model_as_from_a_disk(url: str, tmp_path: Path) -> None:
    (tmp_path / "ink.safetensors").write_bytes(lora())
    here = ModelConfig(
        base="tiny", loras=[LoraConfig(path=str(tmp_path / "ink.safetensors"), weight=0.5)]
    )
    source = localize(config(url, tmp_path), {})
    (file,) = source.loras
    assert file.weight == 0.5
    assert Path(file.path).name == "ink.safetensors"
    assert Path(file.path).read_bytes() == lora()
    assert describe_model(source) == describe_model(here.source)
    assert describe_model(sparse_copy(config(url, tmp_path), {})) == describe_model(here.source)


def test_it_is_pulled_again_only_when_it_has_changed(url: str, tmp_path: Path) -> None:
    def pulled() -> tuple[LoraFile, int]:
        (file,) = localize(config(url, tmp_path), {}).loras
        return file, Path(file.path).stat().st_mtime_ns

    first = pulled()
    assert pulled() == first
    write(url, lora(2.0))
    assert pulled() != first
    assert Path(first[0].path).read_bytes() == lora(2.0)


@pytest.mark.parametrize(("end", "said"), [("nothing.safetensors", "nothing"), ("", "folder")])
def test_urls_that_are_not_files(url: str, tmp_path: Path, end: str, said: str) -> None:
    wrong = url.replace("/ink.safetensors", f"/{end}".rstrip("/"))
    with pytest.raises(StorageError, match=said) as caught:
        localize(config(wrong, tmp_path), {})
    assert caught.value.uri == wrong


SETTINGS = b'{"peft_type": "LORA", "r": 2, "lora_alpha": 16}'


@pytest.mark.parametrize("make", [localize, sparse_copy])
def test_the_settings_of_a_file_of_peft_are_pulled_with_it(
    make: Callable[[ModelConfig, dict[str, Any]], ModelSource], url: str, tmp_path: Path
) -> None:
    folder = url.rpartition("/")[0]
    peft, settings = f"{folder}/adapter_model.safetensors", f"{folder}/adapter_config.json"
    write(peft, lora())
    with pytest.raises(StorageError, match="FileNotFoundError") as caught:
        make(config(peft, tmp_path), {})
    assert caught.value.uri == settings
    write(settings, SETTINGS)
    source = make(config(peft, tmp_path), {})
    (file,) = source.loras
    beside = Path(file.path).with_name("adapter_config.json")
    assert beside.read_bytes() == SETTINGS
    first = describe_model(source).fingerprint
    write(settings, SETTINGS.replace(b"16", b"32"))
    assert describe_model(make(config(peft, tmp_path), {})).fingerprint != first
