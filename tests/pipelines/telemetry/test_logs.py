from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipelines.telemetry.logs import JsonFormatter, row_in_log, run_in_log


def record(message: str, *values: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("pipelines.x", level, __file__, 1, message, values, None)


def line(message: str, *values: object, formatter: JsonFormatter | None = None) -> dict[str, Any]:
    text = (formatter or JsonFormatter()).format(record(message, *values))
    assert "\n" not in text
    assert text.isascii()
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_a_line_has_the_event_and_its_fields_with_their_types() -> None:
    found = line(
        "row_retry row_id=%s code=%s attempt=%d s=%.2f why=%r", "a=b c", None, 2, 0.125, "x"
    )
    assert found.pop("ts").endswith("+00:00")
    assert found == {
        "level": "info",
        "logger": "pipelines.x",
        "event": "row_retry",
        "row_id": "a=b c",
        "attempt": 2,
        "s": 0.125,
        "why": "x",
        "message": "row_retry row_id=a=b c code=None attempt=2 s=0.12 why='x'",
    }


def test_the_time_is_utc() -> None:
    at = datetime.fromisoformat(line("x_y")["ts"])
    assert at.utcoffset() == timedelta(0)
    assert abs((datetime.now(at.tzinfo) - at).total_seconds()) < 5


@pytest.mark.parametrize(
    ("message", "values", "fields"),
    [
        ("%s; such rows are %s (output.on_change: %s)", ("row", "kept", "keep"), {}),
        ("row_raised row_id=%s\n%s", ("r1", "Traceback\nline 2"), {"row_id": "r1"}),
        ("done 100%% of=%s", ("x",), {"of": "x"}),
        ("done %(of)s", ({"of": "x"},), {}),
        ("said at=%*d", (5, 3), {}),
        ("Connecting to the cluster", (), {}),
        ("half_done share=%s", (float("nan"),), {"share": "nan"}),
    ],
)
def test_what_is_no_event_is_a_message(
    message: str, values: tuple[object, ...], fields: dict[str, object]
) -> None:
    found = line(message, *values)
    known = {"ts", "level", "logger", "event", "message"}
    assert {name: value for name, value in found.items() if name not in known} == fields
    assert found["message"]


def test_a_traceback_is_one_field() -> None:
    failed = record("row_failed")
    try:
        dict[str, str]()["a bug"]
    except KeyError:
        failed.exc_info = sys.exc_info()
    found = json.loads(JsonFormatter().format(failed))
    assert found["traceback"].endswith("KeyError: 'a bug'")


@pytest.fixture
def root_formatter() -> Iterator[JsonFormatter]:
    formatter, handler = JsonFormatter(), logging.NullHandler()
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    yield formatter
    logging.getLogger().removeHandler(handler)


def test_lines_name_the_run_and_the_row(root_formatter: JsonFormatter) -> None:
    with run_in_log("run-7"), row_in_log("row-3"):
        inside = line("storage_unavailable uri=%s", "s3://b", formatter=root_formatter)
    assert (inside["run_id"], inside["row_id"]) == ("run-7", "row-3")
    assert not {"run_id", "row_id"} & set(line("x_y", formatter=root_formatter))


def test_an_event_s_own_row_wins() -> None:
    with row_in_log("row-3"):
        assert line("row_retry row_id=%s", "row-4")["row_id"] == "row-4"
