"""The layers of pyproject.toml hold: no import goes up, and no circle."""

from __future__ import annotations

from pathlib import Path

import pytest
from importlinter import cli

ROOT = Path(__file__).parent.parent


def test_every_import_goes_down(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Its own logging would disable every logger that exists, for all later tests.
    monkeypatch.setattr("logging.config.dictConfig", lambda _config: None)
    code = cli.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == cli.EXIT_STATUS_SUCCESS, capfd.readouterr().out
