"""Text that is a number and nothing else: the number has the same meaning as the text.

A number with leading zeros or a plus sign is text, because it is usually a code, such as 007 or
+49. So is a number that 64 bits cannot hold without rounding: 17 significant digits at most, or an
integer of 64 bits.
"""

from __future__ import annotations

import math
import re

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,18})", re.ASCII)
_NUMBER = re.compile(r"-?(?:(0|[1-9]\d*)(?:\.(\d*))?|\.(\d+))(?:[eE][+-]?\d{1,3})?", re.ASCII)
_MOST_DIGITS = 17


def is_integer(text: str) -> bool:
    """Return True if `text` is an integer of 64 bits."""
    return _INTEGER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


def is_number(text: str) -> bool:
    """Return True if `text` is a finite number, with a point or an exponent or without."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return False
    digits = "".join(group or "" for group in found.groups()).lstrip("0")
    return len(digits) <= _MOST_DIGITS and math.isfinite(float(text))
