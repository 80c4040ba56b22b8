from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.uso_core.checkpoints import edit_tensors, link_checkpoint
from uso_core.errors import CheckpointError, NoSuchDeviceError
from uso_core.loading.source import LoraFile, ModelSource
from uso_core.pipeline import USOPipeline
from uso_core.runtime.devices import check_device

ABSENT = "cuda:99"


def test_a_gpu_that_is_not_there_is_told_before_weights_are_read(tmp_path: Path) -> None:
    folder = link_checkpoint(tmp_path)
    edit_tensors(folder / "ae.safetensors", dict.clear)  # an error, once it is read
    with pytest.raises(NoSuchDeviceError, match=r"^device cuda:99: PyTorch .+; or choose the CPU"):
        USOPipeline.from_original(folder, device=ABSENT)
    check_device(torch.device("cpu"))


def test_a_missing_file_is_told_before_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="/nowhere: there is no such folder"):
        USOPipeline.from_pretrained("/nowhere", device=ABSENT)
    source = ModelSource("tiny", loras=(LoraFile(f"{tmp_path}/no.safetensors", 1.0),))
    with pytest.raises(CheckpointError, match=r"no\.safetensors"):
        USOPipeline.load(source, dtype=torch.float32, device=ABSENT)
    folder = link_checkpoint(tmp_path / "weights")
    (folder / "ae.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"ae\.safetensors"):
        USOPipeline.from_original(folder, device=ABSENT)
