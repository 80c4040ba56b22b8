"""Converts the values of a user's rows to text and JSON that is safe to embed in a page."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pipelines.display import display_value

LONGEST_TEXT = 4000
"""Characters of the longest text that the page shows whole."""
LARGEST_JS_INTEGER = 2**53

# C0 and C1 controls except tab and line feed, lone surrogates, and marks that reorder text.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_IN_SCRIPTS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def visible(text: str, most: int = LONGEST_TEXT) -> str:
    """Return `text` with control characters escaped, cut to `most` characters."""
    safe = _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode(), text[:most])
    return f"{safe}…" if len(text) > most else safe


def number(value: object) -> float | None:
    """Return a finite number as a float; None for any other value."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        converted = float(value)  # type: ignore[arg-type] # a Decimal, an int: whatever can
    except (TypeError, ValueError, OverflowError):
        return None
    return converted if math.isfinite(converted) else None


def shown(value: object) -> str | int | float | bool | None:
    """Return the JSON value with which a browser shows a cell of a user's column."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= LARGEST_JS_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return display_value(value)
    if isinstance(value, (list, dict)):
        return visible(json.dumps(value, ensure_ascii=False, default=_nested))
    return visible(str(value))


def to_json(value: object) -> str:
    """Return `value` as ASCII JSON that is safe anywhere in a script or an HTML page."""
    compact = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return compact.translate(_IN_SCRIPTS)


def _nested(value: Any) -> str:  # noqa: ANN401 (whatever Arrow gives)
    return display_value(value) if isinstance(value, bytes) else str(value)
