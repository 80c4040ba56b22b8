from __future__ import annotations

import torch

from uso_core.runtime.transfer import to_device, to_host

CPU = torch.device("cpu")


def test_without_a_gpu_nothing_is_pinned_or_copied() -> None:
    tensor = torch.arange(6).reshape(2, 3)
    assert to_device(tensor, CPU) is tensor
    assert to_host(tensor) is tensor
