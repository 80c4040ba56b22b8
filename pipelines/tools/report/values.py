"""Whatever a user's row holds → text and JSON that can do nothing but be read."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pipelines.display import display_value

_MOST_TEXT = 4000
_LARGEST_JS_INTEGER = 2**53

# C0 (but tab and line feed) and C1 controls, lone surrogates, and the marks that reorder text.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_IN_SCRIPTS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def visible(text: str, most: int = _MOST_TEXT) -> str:
    """`text` with its control characters written out, cut to `most` characters."""
    safe = _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode(), text[:most])
    return f"{safe}…" if len(text) > most else safe


def number(value: object) -> float | None:
    """A finite number as a float; None for everything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        converted = float(value)  # type: ignore[arg-type] # a Decimal, an int: whatever can
    except (TypeError, ValueError, OverflowError):
        return None
    return converted if math.isfinite(converted) else None


def shown(value: object) -> str | int | float | bool | None:
    """A value of a user's column as JSON that a browser shows as it was."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_JS_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return display_value(value)
    if isinstance(value, (list, dict)):
        return visible(json.dumps(value, ensure_ascii=False, default=_nested))
    return visible(str(value))


def to_json(value: object) -> str:
    """`value` as JSON in ASCII that may stand anywhere in a script or in an HTML page."""
    compact = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return compact.translate(_IN_SCRIPTS)


def as_script(name: str, value: object) -> bytes:
    """A script that hands `value` to the page under `name`: pages on disk cannot fetch JSON."""
    return f"uso.take({to_json(name)},{to_json(value)});\n".encode()


def _nested(value: Any) -> str:  # noqa: ANN401 (whatever Arrow gives)
    return display_value(value) if isinstance(value, bytes) else str(value)
