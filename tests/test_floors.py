"""The lowest allowed version of a dependency has no hole that was known when it was set."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
# The first version without a known hole, for Python 3.11 and later.
FIXED = {
    "aiohttp": "3.14.4",
    "filelock": "4.2.1",
    "flask": "3.1.1",
    "jinja2": "3.1.6",
    "pillow": "13.0",
    "sentencepiece": "0.2.1",
    "setuptools": "78.1.1",
    "tqdm": "4.66.3",
}


def declared() -> list[Requirement]:
    """Return the requirements of pyproject.toml that apply here, with those of every extra."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = lines.partition("dependencies = [")[2].partition("[project.scripts]")[0]
    texts = [line.strip().strip('",') for line in section.splitlines() if line.startswith("    ")]
    found = map(Requirement, texts)
    return [it for it in found if it.marker is None or it.marker.evaluate()]


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return {
        it.name.lower(): Version(next(iter(it.specifier)).version)
        for it in found
        if it.marker is None or it.marker.evaluate()
    }


def test_the_pinned_versions_are_allowed() -> None:
    versions = pinned()
    wrong = {
        requirement.name: str(versions[requirement.name.lower()])
        for requirement in declared()
        if requirement.name.lower() in versions
        and versions[requirement.name.lower()] not in requirement.specifier
    }
    assert wrong == {}


@pytest.mark.parametrize("name", FIXED)
def test_no_version_with_a_known_hole_is_allowed(name: str) -> None:
    (requirement,) = (it for it in declared() if it.name == name)
    floors = [Version(it.version) for it in requirement.specifier if it.operator == ">="]
    assert max(floors) >= Version(FIXED[name])
