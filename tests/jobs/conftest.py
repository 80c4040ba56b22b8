"""Fixtures for all tests of the command line."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep lines whole, however long the name of a temporary folder is."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Restore the log, which a command sets up for its whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
