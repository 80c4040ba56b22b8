from __future__ import annotations

import pytest
import torch

from uso_core.errors import NoSuchDeviceError
from uso_core.loading.source import ModelSource
from uso_core.pipeline import USOPipeline
from uso_core.runtime.devices import check_device


def test_a_gpu_that_is_not_there_is_told_before_anything_is_looked_for() -> None:
    with pytest.raises(NoSuchDeviceError, match=r"^device cuda:99: PyTorch .+; or choose the CPU"):
        USOPipeline.load(ModelSource("/nowhere"), dtype=torch.float32, device="cuda:99")
    check_device(torch.device("cpu"))
