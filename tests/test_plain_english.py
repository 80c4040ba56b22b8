from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.plain_english import in_page, in_python

ROOT = Path(__file__).parent.parent
NET = {"tests/plain_english.py", "tests/test_plain_english.py"}


def files(*patterns: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.split() if name not in NET]


def test_code_is_in_plain_english() -> None:
    found = [
        f"{name}:{line}: {words}"
        for name in files("*.py")
        for line, words in in_python((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert found == []


def test_pages_are_in_plain_english() -> None:
    found = [
        f"{name}:{line}: {words}"
        for name in files("*.md")
        for line, words in in_page((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        '"""What a run leaves."""',
        '"""Of both kinds."""',
        "# this one is none",
        "x = 1  # the run goes on",
        'raise ValueError("this key is no text")',
        'def f():\n    """Return it.\n\n    Args:\n        height: likewise.\n    """',
        'def f():\n    """Return it.\n\n    Args:\n        height: of the image.\n    """',
    ],
)
def test_the_net_catches(source: str) -> None:
    assert list(in_python(source))


@pytest.mark.parametrize(
    "source",
    [
        '"""Return True if the value is None."""',
        '"""A run without rows: there is no record, and it is no longer running."""',
        "# the driver resumes",
    ],
)
def test_the_net_lets_pass(source: str) -> None:
    assert not list(in_python(source))


def test_pages_may_quote_code_and_may_not_ask() -> None:
    assert not list(in_page("Run it:\n\n```sh\nuso run  # what is this\n```\n"))
    assert list(in_page("# How it works\n"))
    assert list(in_page("A run that was killed goes on.\n"))
