"""Decodes `data:` URIs a piece at a time, so that a long one costs no multiple of its size."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from pipelines.fetch.errors import fetch_failed, too_large

_PIECE = 2**20
_ESCAPE = len("%2B")
_MOST_OF_HEAD = 1000
_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")
_WHITESPACE = b" \t\n\r\v\f"


def read_data_uri(uri: str, max_bytes: int) -> bytes:
    """Return the bytes in a `data:` URI, base64 or percent-encoded.

    Args:
        uri: the URI.
        max_bytes: the maximum number of bytes.

    Raises:
        RowFailedError: it is too large, or damaged.
    """
    comma = uri.find(",", 0, _MOST_OF_HEAD)
    if comma < 0:
        raise fetch_failed("image_corrupt", uri, "a data: URI needs a comma before its data")
    if not uri[:comma].lower().endswith(";base64"):
        return _joined(_unquoted(uri, comma + 1), uri, max_bytes)
    most_digits = 4 * (max_bytes // 3 + 1)
    pieces = (piece.translate(None, _WHITESPACE) for piece in _unquoted(uri, comma + 1))
    digits = _joined(pieces, uri, most_digits, shown=max_bytes)
    digits = digits.rstrip(b"=").translate(_STANDARD_BASE64)
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except binascii.Error as error:
        raise fetch_failed("image_corrupt", uri, f"its base64 is damaged: {error}") from error


def _unquoted(uri: str, start: int) -> Iterator[bytes]:
    while start < len(uri):
        end = min(start + _PIECE, len(uri))
        if end < len(uri):  # an escape stays whole
            mark = uri.find("%", end - _ESCAPE + 1, end)
            end = end if mark < 0 else mark
        yield unquote_to_bytes(uri[start:end])
        start = end


def _joined(pieces: Iterator[bytes], uri: str, most: int, shown: int | None = None) -> bytes:
    joined = bytearray()
    for piece in pieces:
        joined += piece
        if len(joined) > most:
            raise too_large(uri, most if shown is None else shown)
    return bytes(joined)
