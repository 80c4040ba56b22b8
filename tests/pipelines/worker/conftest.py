from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.pipelines.tiny_models import tiny
from tests.pipelines.worker.stylizing import Make, config_for
from uso_core.loading.tiny import write_tiny_checkpoint
from uso_core.pipeline import USOPipeline


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in the original's files, with USO and SigLIP beside them."""
    folder = tmp_path_factory.mktemp("weights") / "tiny-model"
    write_tiny_checkpoint(folder, seed=1)
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes stylizers that store below `tmp_path/out`."""
    with ExitStack() as stack:

        def make(pipeline: USOPipeline | None = None, **sections: Any) -> Stylizer:
            spec = StylizerSpec.from_config(config_for(tmp_path / "out", **sections))
            stylizer = Stylizer(spec, pipeline=pipeline or tiny())
            stack.callback(stylizer.close)
            return stylizer

        yield make
