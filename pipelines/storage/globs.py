"""Tells globs from names that contain the characters of globs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

_SPECIAL = re.compile(r"[*?[]")


class Glob(NamedTuple):
    """A glob.

    Attributes:
        folder: the path before the first name that is a pattern; it exists or is empty.
        pattern: the whole path, with the special characters in `folder` escaped.
    """

    folder: str
    pattern: str


def glob_of(path: str, exists: Callable[[str], bool]) -> Glob | None:
    """Return the glob that a path means, or None if the path names a file or a folder.

    A name that exists, letter by letter, is a name and no pattern. This holds for the last part of
    the path and for the folders before it.

    Args:
        path: a path on a filesystem, without its protocol.
        exists: tells whether a file or folder with exactly this path exists.
    """
    names = path.split("/")
    escaped = list(names)
    for number, name in enumerate(names):
        if _SPECIAL.search(name) is None:
            continue
        if not exists("/".join(names[: number + 1])):
            pattern = "/".join([*escaped[:number], *names[number:]])
            return Glob("/".join(names[:number]), pattern)
        escaped[number] = _SPECIAL.sub(r"[\g<0>]", name)
    return None
