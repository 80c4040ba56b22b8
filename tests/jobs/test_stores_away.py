"""Commands that only look, and a store that is away: they end within seconds, with the cause."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.manifest.source import LOOKING
from pipelines.storage.patience import Patience
from tests.pipelines.storage.stores import STORES, options_at, url_of

CLOSED_PORT = "http://127.0.0.1:9"
WEB = f"{CLOSED_PORT}/m.parquet"
SECONDS = 0.2


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the patience of commands that look; longer waits still take minutes."""
    for module in ("status", "watch", "plan", "report", "compare", "rows_again"):
        monkeypatch.setattr(f"jobs.{module}.LOOK_S", SECONDS)
    for module in ("validate", "plan", "describe"):
        looking = replace(LOOKING, patience=Patience(SECONDS))
        monkeypatch.setattr(f"jobs.{module}.LOOKING", looking)


def write_run(folder: Path, manifest: str, output: str) -> Path:
    settings: dict[str, Any] = {
        "manifest": {"path": manifest},
        "output": {"path": output},
        "model": {"base": "tiny"},
        "storage": options_at(CLOSED_PORT),
    }
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def ends_soon(*arguments: object) -> str:
    """Run a command that must fail; return what it prints."""
    started = time.monotonic()
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert time.monotonic() - started < SECONDS + 15, result.output
    assert result.exit_code not in (0, None)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "connect" in result.output.lower(), result.output
    return result.output


@pytest.mark.parametrize(
    ("command", "manifest"),
    [
        *((command, WEB) for command in ("validate", "plan", "describe")),
        *(("validate", url_of(store, "m.parquet")) for store in STORES),
    ],
)
def test_an_unreachable_manifest(tmp_path: Path, command: str, manifest: str) -> None:
    ends_soon(command, write_run(tmp_path, manifest, str(tmp_path / "out")))


@pytest.mark.parametrize(
    ("command", "store"),
    [
        ("status", "s3"),
        ("status", "gs"),
        ("status", "az"),
        ("status --watch", "gs"),
        ("report", "az"),
    ],
)
def test_an_unreachable_output(tmp_path: Path, command: str, store: str) -> None:
    output = url_of(store, "out")
    config = write_run(tmp_path, "m.parquet", output)
    ends_soon(*command.split(), output, "--config", config)


def test_each_line_about_a_wait_has_the_cause(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ends_soon("validate", write_run(tmp_path, WEB, str(tmp_path / "out")))
    lines = [message for message in caplog.messages if "manifest_unavailable" in message]
    assert lines
    assert all("Cannot connect to host 127.0.0.1:9" in line for line in lines)
