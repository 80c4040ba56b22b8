"""Marked tests lie where the Makefile looks for them: elsewhere nobody would run them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MAKEFILE = TESTS.parent / "Makefile"
FOLDERS = {
    "ray": "tests/integration",
    "alone": "tests/integration",
    "slow": "tests/integration",
    "browser": "tests/pipelines/tools/report",
}


@pytest.mark.parametrize("mark", FOLDERS)
def test_marked_tests_are_where_make_looks(mark: str) -> None:
    assert re.search(
        rf"pytest .*-m ('{mark} .*'|{mark}) {FOLDERS[mark]}$", MAKEFILE.read_text(), re.M
    )
    marked = re.compile(rf"\bmark\.{mark}\b")
    files = [path for path in TESTS.rglob("test_*.py") if marked.search(path.read_text("utf-8"))]
    assert files
    assert {path for path in files if TESTS.parent / FOLDERS[mark] not in path.parents} == set()
