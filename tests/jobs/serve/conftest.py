from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.serve.running import Running, config_for, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server that draws with the tiny model; the tests of a module share it."""
    folder: Path = tmp_path_factory.mktemp("serve")
    with running(config_for(folder)) as run:
        yield run
