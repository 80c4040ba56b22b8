"""Facts about the references of a row: styles of a library, licences and wishes."""

from __future__ import annotations

from typing import NamedTuple


class ReferenceRights(NamedTuple):
    """The licence of a reference, and its owner's wish about AI.

    Attributes:
        licence: as stated, such as `CC-BY-4.0` or a URL; None: unknown.
        wish: the mark that asks not to use it for AI, such as `X-Robots-Tag: noai`; None: no mark.
    """

    licence: str | None = None
    wish: str | None = None


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
