"""Facts about the references of a row: styles of a library, licences and wishes."""

from __future__ import annotations

from typing import NamedTuple


class LibraryStyle(NamedTuple):
    """A style of a library, as a row names it.

    Attributes:
        name: its name there.
        sha256: hash of its tokens in hex, which is its identity: a name may get another style.
        weight: the factor of its tokens.
        licence: licence of its images; None: unknown.
    """

    name: str
    sha256: str
    weight: float = 1.0
    licence: str | None = None
