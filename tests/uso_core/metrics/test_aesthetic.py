"""The aesthetic head is five linear layers on a vector of unit length."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.uso_core.metrics.networks import head_tensors
from uso_core.errors import CheckpointError
from uso_core.metrics.aesthetic import aesthetic_head
from uso_core.metrics.weights import AESTHETIC


def test_the_rating_is_that_of_the_tensors(files: Path) -> None:
    head = aesthetic_head(AESTHETIC.on_disk(str(files / "head.pth")))
    embedding = torch.arange(16, dtype=torch.float32) - 3
    state = embedding / embedding.norm()
    tensors = head_tensors()
    for at in (0, 2, 4, 6, 7):
        state = tensors[f"layers.{at}.weight"] @ state + tensors[f"layers.{at}.bias"]
    assert head.rate(embedding) == pytest.approx(float(state), rel=1e-5)
    assert head.rate(embedding * 7) == pytest.approx(float(state), rel=1e-5)


def test_another_heads_file_is_refused(tmp_path: Path) -> None:
    torch.save({"layers.0.weight": torch.zeros(2, 2)}, tmp_path / "head.pth")
    with pytest.raises(CheckpointError, match=r"has no layers\.2\.weight"):
        aesthetic_head(AESTHETIC.on_disk(str(tmp_path / "head.pth")))
