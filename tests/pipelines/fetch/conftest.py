from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.fetch.fetcher import Fetcher
from tests.pipelines.fetch.fetchers import Make


@pytest.fixture
def make() -> Iterator[Make]:
    """A function that creates fetchers with short time-outs, which may reach the loopback."""
    with ExitStack() as stack:

        def make(**config: object) -> Fetcher:
            given = {"allow_private_networks": True, "timeout_s": 5, "attempts": 2, **config}
            fetcher = Fetcher(FetchConfig.model_validate(given))
            stack.callback(fetcher.close)
            return fetcher

        yield make
