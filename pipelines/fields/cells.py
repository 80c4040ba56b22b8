"""Readers of manifest cells: each returns the value of a cell or raises `InvalidRequestError`.

They accept any storage type that holds the value exactly: an integer may be 25.0 or "25", because
CSV has only text, and pandas turns integer columns with nulls into floats.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeGuard

from pipelines.storage.urls import is_uri
from uso_core.errors import InvalidRequestError

if TYPE_CHECKING:
    from pipelines.rows import Reference

MAX_ID_LENGTH = 256
LONGEST_PATH = 4096
"""Bytes in the longest path of a local file on Linux."""

_MOST_ITEMS = 10_000
_MOST_DIGITS = 1000
_EXACT_BITS = {16: 11, 32: 24, 64: 53}  # of integers in floating-point numbers of this size
_STORED_EXACTLY = "in a column of text or integers (pandas: string or Int64)"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_BOOLEANS: dict[object, bool] = {"true": True, "false": False, "1": True, "0": False}
_REFERENCE = "a URI, a path, a data: URI, or an image's bytes"
LEAST_BASE64 = 64
_BASE64_TEXT = re.compile(r"[A-Za-z0-9+/_\-\s]+=*\s*", re.ASCII)
_BASE64 = {
    r"iVBORw0KGgo": "a PNG file",
    r"/9j/": "a JPEG file",
    r"UklGR": "a WebP file",
    r"R0lGOD": "a GIF file",
    r"SUkqA|TU0AK": "a TIFF file",
    r"Qk[\w+/-]{6}AAAA": "a BMP file",
    r"AAAA[\w+/-]{2}Z0eXBhdm": "an AVIF file",
}
"""Patterns of the first letters of image files in base64."""
_NO_SCHEME = re.compile(r"image/[\w.+-]+;base64,", re.ASCII | re.IGNORECASE)
_STYLES = 'the name of a style, or a list of {"style": NAME, "weight": NUMBER}'
_STYLE_FIELDS = frozenset({"style", "weight"})
_IMAGE_FIELDS = frozenset({"bytes", "path"})  # an Image of Hugging Face `datasets`


@dataclass(frozen=True, slots=True)
class UnreadableCell:
    """A cell that Python cannot represent: text that is not UTF-8, or a date out of range.

    Attributes:
        reason: the reason, for messages.
    """

    reason: str

    def __repr__(self) -> str:
        return self.reason


class RoundedId(UnreadableCell):
    """An id that is a floating-point number too large to be told from its neighbours."""

    __slots__ = ()


def text(field: str, value: object) -> str:
    """Read text. Bytes are decoded as UTF-8, because some writers store text as binary."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequestError(field, value, "text in UTF-8") from error
    if not isinstance(value, str):
        raise InvalidRequestError(field, value, "text")
    _check_unicode(field, value)
    return value


def identifier(value: Any) -> str:  # noqa: ANN401 (whatever a cell holds)
    """Read a row's id: text of 1 to 256 characters, or an integer."""
    accepted = f"text of 1 to {MAX_ID_LENGTH} characters, or an integer"
    value = exact_id(value, 64)
    if isinstance(value, RoundedId):
        raise InvalidRequestError("id", value, f"{accepted} {_STORED_EXACTLY}")
    if isinstance(value, str | bytes):
        found = text("id", value)
        if not 1 <= len(found) <= MAX_ID_LENGTH:
            raise InvalidRequestError("id", value, accepted)
        return found
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bool) or not _is_integral(value):
        raise InvalidRequestError("id", value, accepted)
    return str(int(value))


def exact_id(value: Any, bits: int) -> Any:  # noqa: ANN401 (whatever a cell holds)
    """Return the cell of an id, as a `RoundedId` if it may be a neighbour's.

    Args:
        value: the cell.
        bits: the size of floating-point numbers in its column.
    """
    if isinstance(value, float) and 2 ** _EXACT_BITS[bits] <= abs(value) < math.inf:
        return RoundedId(f"{value:.0f}, which {bits}-bit floats round,")
    return value


def integer(field: str, value: Any) -> int:  # noqa: ANN401 (whatever a cell holds)
    """Read a whole number from any type that holds it exactly."""
    if type(value) is int:
        return value
    found = _parsed(value)
    if isinstance(found, bool) or not _is_integral(found):
        raise InvalidRequestError(field, value, "an integer")
    return int(found)


def number(field: str, value: Any) -> float:  # noqa: ANN401 (whatever a cell holds)
    """Read a finite number from any numeric type or from text."""
    if type(value) is float and math.isfinite(value):
        return value
    found = _parsed(value)
    if isinstance(found, bool) or not isinstance(found, int | float | Decimal):
        raise InvalidRequestError(field, value, "a number")
    try:
        real = float(found)
    except OverflowError:
        real = math.inf
    if not math.isfinite(real):
        raise InvalidRequestError(field, value, "a finite number")
    return real


def numbers(field: str, value: Any) -> list[float] | None:  # noqa: ANN401 (whatever a cell holds)
    """Read a list of finite numbers, one number, or text with either; a list in text is JSON.

    Returns:
        The numbers; None if the cell is empty.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json_list(field, value, "a JSON list of numbers, such as [1, 0.5]")
    if not isinstance(value, list):
        value = [value]
    return [number(f"{field}[{index}]", item) for index, item in enumerate(value)]


def boolean(field: str, value: Any) -> bool:  # noqa: ANN401 (whatever a cell holds)
    """Read true or false, or 1 or 0, or text that spells one of these."""
    if type(value) is bool:
        return value
    if type(value) is int and value in (0, 1):
        return bool(value)
    found = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise InvalidRequestError(field, value, "true or false")
    return found


def reference(field: str, value: Any) -> Reference | None:  # noqa: ANN401 (whatever a cell holds)
    """Read a reference, unresolved; return None for a cell without an image: null, empty text."""
    if isinstance(value, dict) and value.keys() <= _IMAGE_FIELDS:
        value = value.get("bytes") or value.get("path")
    if value is None or value == "":
        return None
    if isinstance(value, bytes) and value:
        return value
    if not isinstance(value, str):
        raise InvalidRequestError(field, value, _REFERENCE)
    if "\0" in value:
        raise InvalidRequestError(field, value, "a URI or path without NUL characters")
    _check_unicode(field, value)
    likeness = _likeness(value)
    if likeness is not None:
        raise InvalidRequestError(field, value, f"{_REFERENCE}; {likeness}")
    return value


def _likeness(value: str) -> str | None:
    """Say what text without a scheme looks like, if it can be no path; None if it can be one."""
    if is_uri(value):
        return None
    if _NO_SCHEME.match(value):
        return "this looks like a data: URI without data: at its beginning"
    if len(value) < LEAST_BASE64:
        return None
    start = value[:LEAST_BASE64].lstrip()
    kind = next((kind for first, kind in _BASE64.items() if re.match(first, start)), None)
    if kind is not None and _BASE64_TEXT.fullmatch(value):
        return f"this looks like {kind} in base64; put data:;base64, before it"
    if len(value) > LONGEST_PATH:
        is_base64 = _BASE64_TEXT.fullmatch(value) is not None
        like = "base64; put data:;base64, before an image" if is_base64 else "no path"
        return f"these {len(value):,} characters look like {like}"
    return None


def references(field: str, value: Any) -> list[Reference]:  # noqa: ANN401 (whatever a cell holds)
    """Read a list of references, one reference, or text with either; a list in text is JSON."""
    if value is None or value == "":
        return []
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json_list(field, value, 'a JSON list of URIs, such as ["a.png", "b.png"]')
    if not isinstance(value, list):
        value = [value]
    found = [reference(f"{field}[{index}]", item) for index, item in enumerate(value)]
    if None in found:
        raise InvalidRequestError(f"{field}[{found.index(None)}]", None, _REFERENCE)
    return [item for item in found if item is not None]


def styles(field: str, value: Any) -> list[tuple[str, float]]:  # noqa: ANN401 (a cell)
    """Read styles of the library: a name, `{style, weight}`, or a list of these; JSON in text.

    Returns:
        The name and the weight of each; a name alone has the weight 1.
    """
    if value is None or value == "":
        return []
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        listed = value if value.lstrip().startswith("[") else f"[{value}]"
        value = _json_list(field, listed, _STYLES)
    if not isinstance(value, list):
        value = [value]
    return [_style(f"{field}[{index}]", item) for index, item in enumerate(value)]


def _style(field: str, item: Any) -> tuple[str, float]:  # noqa: ANN401 (an item of a cell)
    weight: Any = None
    name = item
    if isinstance(item, dict):
        if not item.keys() <= _STYLE_FIELDS:
            raise InvalidRequestError(field, item, _STYLES)
        name, weight = item.get("style"), item.get("weight")
    if not isinstance(name, str | bytes) or not name:
        raise InvalidRequestError(field, item, _STYLES)
    return text(field, name), 1.0 if weight is None else number(field, weight)


def _json_list(field: str, value: str, accepted: str) -> list[Any]:
    if value.count(",") > _MOST_ITEMS:
        raise InvalidRequestError(field, value, f"a JSON list of at most {_MOST_ITEMS:,} items")
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(field, value, accepted) from error
    if not isinstance(found, list):
        raise InvalidRequestError(field, value, accepted)
    return found


def _parsed(value: object) -> object:
    """Return the number that text spells, and any other value unchanged."""
    # Converting a number takes time in proportion to the square of its digits.
    if (
        not isinstance(value, str)
        or len(value) > _MOST_DIGITS
        or not _NUMBER.fullmatch(value.strip())
    ):
        return value
    return Decimal(value.strip())


def _is_integral(value: object) -> TypeGuard[int | float | Decimal]:
    if isinstance(value, int):
        return True
    if not isinstance(value, float | Decimal) or not math.isfinite(value):
        return False
    return value == int(value)


def _check_unicode(field: str, value: str) -> None:
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(field, value, "text without lone surrogates") from error
