"""Values in messages: short, on one line, without credentials or control characters."""

from __future__ import annotations

import hashlib
import reprlib

from pipelines.storage.urls import redact_uri

_MOST_READ = 1000

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlong = 40


def display_value(value: object) -> str:
    """Return `value` for a message; for bytes, their number."""
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, str):
        value = redact_uri(value[:_MOST_READ])
    return _SHORT.repr(value)


def display_reference(reference: str | bytes) -> str:
    """Return a reference as records and messages show it: inline images as their hash.

    A URI keeps its credentials here; `redact_uri` removes them.
    """
    if isinstance(reference, bytes):
        return f"sha256:{hashlib.sha256(reference).hexdigest()}"
    if reference[:5].lower() == "data:":
        return f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"
    return reference
