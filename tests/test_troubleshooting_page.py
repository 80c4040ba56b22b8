"""docs/troubleshooting.md describes every failure code, and quotes existing messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.failures import CODES, CodeFacts

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n\n(.+?)(?=\n##)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_failure_code_has_its_section_and_nothing_else_has() -> None:
    assert list(SECTIONS) == list(CODES)


@pytest.mark.parametrize(("code", "facts"), CODES.items())
def test_a_section_says_what_is_true_of_its_code(code: str, facts: CodeFacts) -> None:
    first, *causes = SECTIONS[code].split("\n\n")
    again = "yes" if facts.retryable else "no"
    meaning, _, rest = first.replace("`", "").partition(". ")
    assert meaning.lower() == facts.meaning.partition(":")[0].lower()
    assert re.search(rf"Stage: {facts.stage}\. Tried again: {again}\b", first), rest
    assert "- " in "".join(causes)


def test_messages_are_quoted_as_they_are_written() -> None:
    rows = re.findall(r'^\| ("[^|]+) \|', PAGE, re.MULTILINE)
    messages = [text for row in rows for text in re.findall(r'"([^"]+)"', row)]
    quoted = [piece.strip() for text in messages for piece in text.split("…") if piece]
    assert len(quoted) > 10
    written = "\n".join(texts())
    assert [text for text in quoted if text not in written] == []


def texts() -> Iterator[str]:
    """Return every string in the packages; f-strings without their placeholders."""
    for package in ("uso_core", "pipelines", "jobs"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
