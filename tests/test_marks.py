"""A Makefile target runs the tests that plain `pytest` skips."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MAKEFILE = (TESTS.parent / "Makefile").read_text(encoding="utf-8")


def left_out(config: pytest.Config) -> set[str]:
    """Return the marks that `addopts` in pyproject.toml excludes."""
    options = config.getini("addopts")
    return set(re.findall(r"not (\w+)", options[options.index("-m") + 1]))


def test_plain_pytest_leaves_out_long_tests_and_those_that_need_more(
    pytestconfig: pytest.Config,
) -> None:
    assert left_out(pytestconfig) == {"slow", "gpu", "browser", "postgres", "clients"}


@pytest.mark.parametrize(
    "mark", ["slow", "browser", "postgres", "clients"]
)  # `gpu` tests need a machine with one
def test_marked_tests_are_where_make_looks(mark: str) -> None:
    target = re.search(rf"pytest .*-m {mark} (.+)$", MAKEFILE, re.MULTILINE)
    assert target
    folders = {TESTS.parent / folder for folder in target.group(1).split()}
    marked = re.compile(rf"\bmark\.{mark}\b")
    files = [path for path in TESTS.rglob("test_*.py") if marked.search(path.read_text("utf-8"))]
    assert files
    assert {path for path in files if folders.isdisjoint(path.parents)} == set()


def test_make_runs_what_plain_pytest_runs_in_the_order_of_turns() -> None:
    found = re.search(r"^PYTEST := \$\(BIN\)/python -m pytest (.+)$", MAKEFILE, re.MULTILINE)
    assert found
    options = found.group(1).split()
    assert "--no-loadscope-reorder" in options
    assert "-m" not in options
