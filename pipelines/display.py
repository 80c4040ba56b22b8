"""Values in messages: short, on one line, without credentials or control characters."""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Iterable
from difflib import get_close_matches

from pipelines.storage.urls import redact_uri

_MOST_SEARCHED = 20_000  # a token in a URL can have thousands of characters
_MOST_READ = 1000


class _Short(reprlib.Repr):
    """Short texts of values, in which no string has credentials."""

    def repr_str(self, x: str, level: int) -> str:
        """Return the text of a string, also within another value."""
        return super().repr_str(_public(x), level)


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlong = 40


def display_value(value: object) -> str:
    """Return `value` for a message; for bytes, their number."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return _SHORT.repr(_public(value)[:_MOST_READ] if isinstance(value, str) else value)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for a known name that is close; else an empty text."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _public(text: str) -> str:
    searched = text[:_MOST_SEARCHED]
    public = redact_uri(searched)
    return text if public == searched else public


def display_reference(reference: str | bytes) -> str:
    """Return a reference as records and messages show it: inline images as their hash.

    A URI keeps its credentials here; `redact_uri` removes them.
    """
    if isinstance(reference, bytes):
        return f"sha256:{hashlib.sha256(reference).hexdigest()}"
    if reference[:5].lower() == "data:":
        return f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"
    return reference
