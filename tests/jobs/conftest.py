"""What all tests of the command line need."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut to fit a line must not depend on how long a temporary folder's name is."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """The command sets up the log for its own process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
