"""A fetched file in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pipelines.fetch.jpeg import coded_pixels

ABSENT = "absent"
"""The marks of a file that does not exist."""


@dataclass(frozen=True)
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

    @property
    def is_plain_jpeg(self) -> bool:
        """True for a JPEG as `coded_pixels` knows it."""
        return self._pixels is not None

    @cached_property
    def without_pixels(self) -> bytes:
        """The bytes without the coded pixels of a plain JPEG; all of any other file."""
        pixels = self._pixels
        return self.data if pixels is None else self.data[: pixels.start] + self.data[pixels.stop :]

    @cached_property
    def _pixels(self) -> slice | None:
        return coded_pixels(self.data)
