from __future__ import annotations

import io
import json
import logging

import pytest
from rich.console import Console

from jobs.log import log_to
from jobs.progress import LiveDisplay
from pipelines.config.telemetry import LoggingConfig
from pipelines.telemetry.snapshot import Snapshot

INFO = LoggingConfig(level="info")
JSON = LoggingConfig(level="info", format="json")


def console(stream: io.StringIO, *, terminal: bool) -> Console:
    return Console(
        file=stream, force_terminal=terminal, color_system=None, width=200, legacy_windows=False
    )


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("config", [INFO, JSON], ids=["text", "json"])
def test_log_events_cannot_steer_the_terminal(
    terminal: bool, config: LoggingConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    log_to(console(stream, terminal=terminal), config)
    logging.getLogger("pipelines.x").info("row id=%s", "\x1b[2Jevil")
    logging.getLogger("other").info("not ours")
    text = stream.getvalue() + capsys.readouterr().err
    assert ("\\u001b[2Jevil" if config is JSON else r"row id=\x1b[2Jevil") in text
    assert "\x1b[2J" not in text
    assert "not ours" not in text


def test_json_lines_appear_above_the_live_display() -> None:
    stream = io.StringIO()
    terminal = console(stream, terminal=True)
    log_to(terminal, JSON)
    with LiveDisplay(terminal) as display:
        display.update(Snapshot(completed=3))
        logging.getLogger("pipelines.x").warning("worker_lost worker=%s", "w" * 300)
        display.update(Snapshot(completed=4))
    lines = [line for line in stream.getvalue().splitlines() if "worker_lost" in line]
    assert json.loads(lines[0][lines[0].index("{") :])["worker"] == "w" * 300


def test_the_configuration_sets_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    log_to(console(io.StringIO(), terminal=False), LoggingConfig(format="json", level="error"))
    logging.getLogger("pipelines.x").warning("worker_lost worker=%s", "w")
    logging.getLogger("jobs.progress").info("run_progress completed=%d", 3)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["run_progress"]
