"""Wishes in the header X-Robots-Tag of an HTTP response."""

from __future__ import annotations

import re
from collections.abc import Iterable

HEADER = "X-Robots-Tag"
_WISH = re.compile(r"(?:^|[,:;\"'\s])(noai|noimageai)(?=$|[,;\"'\s])", re.IGNORECASE)


def robots_wish(values: Iterable[str]) -> str | None:
    """Return the directives against AI in the values of the header; None without one.

    A directive that names a user agent (`somebot: noai`) counts for everybody: it says what the
    owner of the image wants, and this program has no name that an owner could know.

    Args:
        values: one for each header of the response.
    """
    found = dict.fromkeys(name.lower() for value in values for name in _WISH.findall(value))
    return f"{HEADER}: {', '.join(found)}" if found else None
