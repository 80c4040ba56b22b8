"""The documentation of keys, columns, codes and files is complete, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.failures import CODES
from pipelines.fields.table import INPUT_NAMES
from pipelines.record import RECORD_NAMES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_manifest_column_is_documented() -> None:
    text = page("manifest.md")
    assert [name for name in INPUT_NAMES if f"`{name}`" not in text] == []


def test_every_record_column_is_documented() -> None:
    text = page("output.md")
    assert [name for name in RECORD_NAMES if f"`{name}`" not in text] == []


def test_every_failure_code_is_documented_as_it_is() -> None:
    text = page("output.md")
    for code, facts in CODES.items():
        again = "yes" if facts.retryable else "no"
        meaning = re.escape(facts.meaning).replace(r"fetch\.max", r"`?fetch\.max")
        assert re.search(
            rf"^\| `{code}` \| {facts.stage} \| {again} \| {meaning}`? \|$", text, re.M
        )


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", path.read_text(encoding="utf-8"))
    dead = []
    for name, anchor in links:
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(f"{name}#{anchor}")
    assert dead == []


@pytest.mark.parametrize("index", ["README.md", "docs/README.md"])
def test_every_page_is_in_the_index(index: str) -> None:
    text = (ROOT / index).read_text(encoding="utf-8")
    linked = {Path(target).name for target in re.findall(r"\]\(([^)#:]+)", text)}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages - linked == set()
