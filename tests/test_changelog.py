"""The changelog has the sections that a release takes from it."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / ".ci" / "changelog.py"
TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

OLDER = "## [0.1.0] - 2026-11-28\n\n- a\n"

section = runpy.run_path(str(SCRIPT))["section"]


def test_unreleased_changes_come_first_and_then_the_installed_version() -> None:
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert headings[1].startswith(f"[{version('uso-batch')}] - ")


def test_a_release_gets_the_section_of_its_version_and_no_other() -> None:
    number = version("uso-batch")
    printed = subprocess.run(
        [sys.executable, SCRIPT, number], capture_output=True, text=True, check=True
    ).stdout
    assert printed == section(TEXT, number)
    assert printed in TEXT
    assert not re.search(r"^## ", printed, re.MULTILINE)


def test_sections_end_where_the_next_begins() -> None:
    unreleased, newer, older = "## [Unreleased]\n\n- c\n", "## [0.2.0] - 2027-01-02\n\n- b\n", OLDER
    text = "\n".join(["# Changelog\n", unreleased, newer, older])
    assert section(text, "0.2.0") == "- b\n"
    assert section(text, "0.1.0") == "- a\n"


@pytest.mark.parametrize("number", ["0.1", "0.3.0", "0.2.0", "Unreleased"])
def test_a_version_without_a_dated_section_is_an_error(number: str) -> None:
    with pytest.raises(ValueError, match=f"no dated section for {number}"):
        section(
            "## [Unreleased]\n\n- b\n\n## [0.2.0] - 2027-01-02\n\n## [0.1.0] - 2026-11-28\n\n- a\n",
            number,
        )
