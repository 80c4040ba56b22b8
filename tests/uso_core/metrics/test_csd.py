"""CSD's published file is read, and gives what open_clip gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.uso_core.metrics.networks import Shown, csd_tensors, save_csd
from uso_core.errors import CheckpointError
from uso_core.metrics.csd import csd
from uso_core.metrics.embedding import Embedder, cosine
from uso_core.metrics.weights import CSD


def loaded(path: Path) -> Embedder:
    return csd(CSD.on_disk(str(path)), torch.device("cpu"))


def test_style_similarity_is_open_clips(
    files: Path, pictures: list[Shown], references: dict[str, Any]
) -> None:
    vectors = loaded(files / "csd.pth")(pictures)
    assert len(vectors[0]) == 24
    found = [
        (one, other, cosine(vectors[one], vectors[other])) for one, other, _ in references["csd"]
    ]
    assert [value for *_, value in found] == pytest.approx(
        [value for *_, value in references["csd"]], abs=1e-5
    )
    assert min(value for *_, value in found) < 0.98


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_with_bare_tensors_gives_the_same(
    files: Path, pictures: list[Shown], tmp_path: Path, name: str
) -> None:
    if name.endswith("safetensors"):
        save_file(csd_tensors(), tmp_path / name)
    else:
        torch.save(csd_tensors(), tmp_path / name)
    expected = loaded(files / "csd.pth")(pictures)
    assert torch.equal(torch.stack(loaded(tmp_path)(pictures)), torch.stack(expected))


class Harmful:
    """A pickle that would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


def test_code_in_the_file_is_not_run(tmp_path: Path) -> None:
    torch.save(
        {"model_state_dict": csd_tensors(), "args": Harmful(tmp_path / "run")}, tmp_path / "csd.pth"
    )
    with pytest.raises(CheckpointError, match="cannot be read"):
        loaded(tmp_path / "csd.pth")
    assert not (tmp_path / "run").exists()


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = csd_tensors()
    del tensors["backbone.transformer.resblocks.1.mlp.c_fc.bias"]
    save_csd(tmp_path / "csd.pth", tensors)
    with pytest.raises(CheckpointError, match=r"missing: .*resblocks\.1\.mlp\.c_fc\.bias"):
        loaded(tmp_path / "csd.pth")


def test_another_models_file_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "csd.pth")
    with pytest.raises(CheckpointError, match=r"is not CSD.*docs/scores\.md"):
        loaded(tmp_path / "csd.pth")
