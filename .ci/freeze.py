"""Print the exact version of every package in this environment, as a pip constraints file.

A version that a supported Python cannot have gets a marker, so that the file holds for all of them:
there, pip picks the newest version that fits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import distributions

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

SUPPORTED = ("3.10", "3.11", "3.12", "3.13")
NOT_PINNED = {"pip", "uso-batch"}
# By its own word it runs on 3.10; but the last diffusers for 3.10 wants one below 2.0.
NEEDS_NEWER_PYTHON = {"huggingface-hub": ">=3.11"}

HEADER = """\
# Exact versions that the tests run with. Made by `make constraints`; do not edit.
"""


def lines() -> Iterator[str]:
    """One `name==version` per package, with a marker where some supported Python cannot have it."""
    for dist in distributions():
        name = canonicalize_name(dist.metadata["Name"])
        if name in NOT_PINNED:
            continue
        version = Version(dist.version).public  # torch's +cpu and the like are the index's choice
        allowed = SpecifierSet(dist.metadata.get("Requires-Python") or "")
        allowed &= SpecifierSet(NEEDS_NEWER_PYTHON.get(name, ""))
        fitting = [python for python in SUPPORTED if allowed.contains(f"{python}.99")]
        yield f"{name}=={version}{_marker(fitting)}"


def _marker(fitting: list[str]) -> str:
    if len(fitting) == len(SUPPORTED):
        return ""
    conditions = []
    if fitting[0] != SUPPORTED[0]:
        conditions.append(f"python_version >= '{fitting[0]}'")
    if fitting[-1] != SUPPORTED[-1]:
        conditions.append(f"python_version <= '{fitting[-1]}'")
    return f" ; {' and '.join(conditions)}"


if __name__ == "__main__":
    sys.stdout.write(HEADER + "\n".join(sorted(lines())) + "\n")
