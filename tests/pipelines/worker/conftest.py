from __future__ import annotations

from pathlib import Path

import pytest

from uso_core.loading.tiny import write_tiny_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in the original's files, with USO and SigLIP beside them."""
    folder = tmp_path_factory.mktemp("weights") / "tiny-model"
    write_tiny_checkpoint(folder, seed=1)
    return folder
