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
    names = ("pipelines", "uso_core", "jobs", "jobs.progress", "asyncio")
    loggers = [root, *map(logging.getLogger, names)]
    handlers, levels = root.handlers[:], [logger.level for logger in loggers]
    yield
    root.handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
