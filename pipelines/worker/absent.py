"""Packages that the model's libraries import if they are installed, and that no model here uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

UNUSED = ("boto3", "scipy")
"""For diffusers' other schedulers, transformers' losses, and accelerate's way to a cloud."""


@contextmanager
def absent(names: Sequence[str] = UNUSED) -> Iterator[None]:
    """Let packages look as if they were not installed while the block imports others.

    Python's own sign for that is None in place of a module. The libraries that the block imports
    may do without the packages until the process ends; later imports of the packages themselves
    find them. Packages that are loaded already stay. No other thread may import one of them
    meanwhile, so this is for a process whose code is all known.

    Args:
        names: top-level packages.
    """
    modules = cast("dict[str, Any]", sys.modules)
    hidden = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]
