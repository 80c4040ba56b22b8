"""A fetched file in memory."""

from __future__ import annotations

from dataclasses import dataclass

ABSENT = "absent"
"""The marks of a file that does not exist."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of one reference.

    Attributes:
        data: the unchanged bytes, at most `fetch.max_mb`.
        stat: marks that its place gives to this version, see `ReferenceVersion.stat`; None if
            there are none, or nobody asked for them.
        content_type: the server's Content-Type; None if there was none.
        robots: the directives against AI in the server's X-Robots-Tag; None if there were none.
    """

    data: bytes
    content_type: str | None = None
    stat: str | None = None
    robots: str | None = None
