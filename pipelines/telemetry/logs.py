"""The JSON log, one object per line, with the run and the row that each line concerns.

A log call of this project reads `logger.info("row_retry row_id=%s code=%s", row_id, code)`: the
event first, then its fields. The text log prints it unchanged; in JSON each field has a key.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any

from pipelines.config.telemetry import LoggingConfig

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_EVENT = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)+(?=\s|$)")
_FIELD = re.compile(r"(?:\b(\w+)=)?%[-+ #0]*\d*(?:\.\d+)?[sradifeEgGxX]")

_row_id: ContextVar[str | None] = ContextVar("row_id", default=None)


class JsonFormatter(logging.Formatter):
    """`ts`, `level`, `logger`, `event`, `run_id`, `row_id`, the event's fields, and `message`.

    Keys that do not apply are left out. `ts` is ISO 8601 in UTC; `message` is the line of the text
    log. Only ASCII is written, so that no line can control a terminal.

    Attributes:
        run_id: the id of the run that this process works on.
    """

    def __init__(self, run_id: str | None = None) -> None:
        super().__init__()
        self.run_id = run_id

    def format(self, record: logging.LogRecord) -> str:
        """Format one line."""
        event = _EVENT.match(str(record.msg))
        traceback = self.formatException(record.exc_info) if record.exc_info else None
        line: dict[str, Any] = {
            "ts": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event and event.group(),
            "run_id": self.run_id,
            "row_id": _row_id.get(),
            **_fields(record),
            "message": record.getMessage(),
            "traceback": traceback,
        }
        present = {name: value for name, value in line.items() if value is not None}
        return json.dumps(present, default=str)


def log_of_worker(config: LoggingConfig, run_id: str) -> None:
    """Set up the log of an actor's process: to stderr, which Ray keeps in its session folder."""
    handler = logging.StreamHandler()
    if config.format == "json":
        handler.setFormatter(JsonFormatter(run_id))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    level = min(logging.INFO, level_of(config))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for package in ("pipelines", "uso_core"):
        logging.getLogger(package).setLevel(level)


def level_of(config: LoggingConfig) -> int:
    """Return the level as a number of `logging`."""
    return _LEVELS[config.level]


@contextmanager
def run_in_log(run_id: str) -> Iterator[None]:
    """Name the run in the JSON log of this process for the duration of the block."""
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    ours = [formatter for formatter in formatters if isinstance(formatter, JsonFormatter)]
    for formatter in ours:
        formatter.run_id = run_id
    try:
        yield
    finally:
        for formatter in ours:
            formatter.run_id = None


@contextmanager
def row_in_log(row_id: str) -> Iterator[None]:
    """Name the row in the JSON log of this thread for the duration of the block."""
    token = _row_id.set(row_id)
    try:
        yield
    finally:
        _row_id.reset(token)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the values of `name=%…` in the message's template; {} for other templates."""
    template, values = str(record.msg).replace("%%", ""), record.args
    if not isinstance(values, tuple):
        return {}
    names = [match[1] for match in _FIELD.finditer(template)]
    if len(names) != len(values):
        return {}
    pairs = zip(names, values, strict=True)
    return {name: _json_value(value) for name, value in pairs if name is not None}


def _json_value(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
