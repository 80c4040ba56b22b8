from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from uso_core.errors import CheckpointError
from uso_core.loading.tensor_files import open_tensor_files, without_prefixes

TENSORS = {"a": torch.arange(12.0).reshape(4, 3), "b.c": torch.ones(2, dtype=torch.bfloat16)}


class Harmful:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harmed",)


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_reads_whole_tensors_and_rows(tmp_path: Path, name: str) -> None:
    files = open_tensor_files([write(tmp_path / name, TENSORS)])
    assert files.shapes == {"a": (4, 3), "b.c": (2,)}
    assert torch.equal(files.read("a"), TENSORS["a"])
    assert torch.equal(files.read("a", 1, 3), TENSORS["a"][1:3])
    assert files.read("b.c").dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_tensor_is_read_from_the_file_when_it_is_asked_for(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, TENSORS)
    files = open_tensor_files([path])
    later = TENSORS["a"] + 1
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(TENSORS["a"].numpy().tobytes()))
        file.write(later.numpy().tobytes())
    assert torch.equal(files.read("a"), later)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_shards_are_one(tmp_path: Path, name: str) -> None:
    stem, suffix = name.split(".")
    paths = [
        write(tmp_path / f"{stem}-0000{i}-of-00002.{suffix}", {key: tensor})
        for i, (key, tensor) in enumerate(TENSORS.items(), start=1)
    ]
    files = open_tensor_files(paths)
    assert set(files.shapes) == set(TENSORS)
    assert torch.equal(files.read("b.c"), TENSORS["b.c"])


def test_a_key_in_two_shards_is_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.safetensors", TENSORS) for i in range(2)]
    with pytest.raises(CheckpointError, match="another shard holds: a") as caught:
        open_tensor_files(paths)
    assert caught.value.path == str(paths[1])


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_a_file_cut_short_is_named(tmp_path: Path, name: str, left: int) -> None:
    path = write(tmp_path / name, TENSORS)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(CheckpointError, match="fetch it again") as caught:
        open_tensor_files([path])
    assert caught.value.path == str(path)


def test_pickles_of_before_2020_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    assert torch.equal(open_tensor_files([path]).read("a"), TENSORS["a"])


@pytest.mark.parametrize("value", [{"a": Harmful()}, Harmful()])
def test_pickled_code_is_never_run(tmp_path: Path, value: object) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save(value, path)
    with pytest.raises(CheckpointError):
        open_tensor_files([path])
    assert not Path("harmed").exists()


@pytest.mark.parametrize("value", [{"epoch": 3}, [torch.ones(1)]])
def test_pickles_of_other_things_are_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save(value, path)
    with pytest.raises(CheckpointError, match="does not hold a mapping"):
        open_tensor_files([path])


def test_keys_can_be_left_out(tmp_path: Path) -> None:
    files = open_tensor_files([write(tmp_path / "model.safetensors", TENSORS)])
    kept = without_prefixes(files, ("b.",))
    assert list(kept.shapes) == ["a"]
    assert torch.equal(kept.read("a"), TENSORS["a"])
