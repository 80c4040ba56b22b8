"""Fetchers under test."""

from __future__ import annotations

from typing import Protocol

import pytest

from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.rows import Reference
from tests.pipelines.pictures import encode, picture

PNG = encode(picture())


class Make(Protocol):
    """Creates a fetcher with this configuration."""

    def __call__(self, **config: object) -> Fetcher: ...


def failure_of(fetcher: Fetcher, reference: Reference) -> Failure:
    """Fetch a reference that must fail, and return its failure."""
    with pytest.raises(RowFailedError) as caught:
        fetcher.fetch(reference)
    return caught.value.failure
