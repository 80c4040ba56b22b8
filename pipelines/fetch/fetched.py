"""A fetched file in memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of one reference.

    Attributes:
        data: the unchanged bytes, at most `fetch.max_mb`.
        content_type: the server's Content-Type; None if there was none.
    """

    data: bytes
    content_type: str | None = None
