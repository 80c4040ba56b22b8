"""What docs/watching.md says is true: its snippets are run, its lists compared."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from pipelines.watch.notifier import STATUS_NUMBERS
from pipelines.watch.webhook import signature

PAGE = (Path(__file__).parent.parent / "docs" / "watching.md").read_text(encoding="utf-8")


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
