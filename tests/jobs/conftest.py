"""What all tests of the command line need."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cut to fit a line must not depend on how long a temporary folder's name is."""
    monkeypatch.setenv("COLUMNS", "200")
