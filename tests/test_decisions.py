"""The pages of `docs/adr` are complete, short, listed, and name tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_docs import anchors

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "adr"
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
HEADINGS = ["Context", "Decision", "Alternatives", "Consequences", "Tests"]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_has_the_five_headings_a_status_and_at_most_80_lines(path: Path) -> None:
    text = text_of(path)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert text.startswith(f"# {int(path.stem[:4])}. ")
    assert re.search(r"^Status: (accepted|replaced by \[.+\]\(.+\)), \w+ \d{4}\.$", text, re.M)
    assert len(text.splitlines()) <= 80


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_names_tests_that_exist(path: Path) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", text_of(path).partition("## Tests")[2])
    assert named
    for file, name in named:
        assert f"def {name}(" in text_of(ROOT / "tests" / file), f"{file}::{name}"


def test_the_index_lists_every_page_under_its_number_and_title() -> None:
    listed = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \|", text_of(FOLDER / "README.md"), re.M)
    titles = [text_of(path).splitlines()[0].removeprefix("# ") for path in PAGES]
    assert [f"{number}. {title}" for number, title, _ in listed] == titles
    assert [name for _, _, name in listed] == [path.name for path in PAGES]


@pytest.mark.parametrize("path", [*PAGES, FOLDER / "README.md"], ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for name, anchor in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", text_of(path)):
        target = path.parent / name
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"
