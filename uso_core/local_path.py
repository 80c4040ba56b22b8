"""Local paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path


def local_path(location: str | os.PathLike[str]) -> Path:
    """Return a path with its `~` or `~USER` replaced by the home folder.

    Without such a user, `~USER` is a name like any other; `Path.expanduser` raises then.
    """
    return Path(os.path.expanduser(location))


def tried_path(location: str | os.PathLike[str]) -> str:
    """Return ` (PATH)`, the absolute path of a location, for messages.

    It is empty if the location is absolute already, or a URL.
    """
    if "://" in os.fspath(location):
        return ""
    path = os.path.abspath(local_path(location))
    return "" if path == os.fspath(location).rstrip("/") else f" ({path})"
