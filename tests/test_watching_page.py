"""The snippets and lists of docs/watching.md match the code."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.telemetry.metrics import METRICS, Metric
from pipelines.telemetry.notifier import STATUS_NUMBERS
from pipelines.telemetry.webhook import signature

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "watching.md").read_text(encoding="utf-8")


def snippet(language: str, containing: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (block,) = [block for block in blocks if containing in block]
    return block


def test_the_snippet_verifies_signatures() -> None:
    names: dict[str, Any] = {}
    exec(snippet("python", "is_genuine"), names)
    body, now, old = b'{"id":"r1"}', str(int(time.time())), str(int(time.time()) - 3600)
    is_genuine = names["is_genuine"]

    def headers(timestamp: str, key: bytes) -> dict[str, str]:
        signed = signature(key, timestamp, body)
        return {"X-USO-Timestamp": timestamp, "X-USO-Signature": signed}

    assert is_genuine(headers(now, b"key"), body, "key")
    assert not is_genuine(headers(now, b"other"), body, "key")
    assert not is_genuine(headers(now, b"key"), body + b" ", "key")
    assert not is_genuine(headers(old, b"key"), body, "key")


def test_every_state_is_documented_with_its_number() -> None:
    assert [name for name, n in STATUS_NUMBERS.items() if f"{n} `{name}`" not in PAGE] == []


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_documented_as_it_is(metric: Metric) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{metric.exported_name}` ")]
    _, _, kind, labels, text, _ = (cell.strip() for cell in row.split("|"))
    assert (kind, text) == (metric.kind, metric.help)
    assert re.findall(r"`(\w+)`:", labels) == list(metric.labels)


def test_no_other_metric_is_documented() -> None:
    documented = set(re.findall(r"^\| `(ray_uso_\w+)`", PAGE, re.MULTILINE))
    assert documented == {metric.exported_name for metric in METRICS}


def test_every_event_of_the_log_that_is_documented_is_logged() -> None:
    table = PAGE.partition("| event | level | |")[2].partition("\n\n")[0]
    events = re.findall(r"`(\w+_\w+)`", table)
    source = "".join(path.read_text() for path in (ROOT / "pipelines").rglob("*.py"))
    assert len(events) > 8
    assert [event for event in events if f'"{event} ' not in source] == []
