"""Finds the coded pixels of a plain JPEG without decoding them.

Most JPEGs are plain: baseline, one scan, no marker inside it. libjpeg decodes the pixels of such a
file whatever they are: bits without a meaning give a grey patch and a warning that Pillow ignores.
So only the end marker can be missing, and errors come from the segments before the scan.
"""

from __future__ import annotations

import re

from pipelines.fetch.structure import MAX_JPEG_HEADER_BYTES, MAX_JPEG_SEGMENTS

_START = b"\xff\xd8\xff"
_EOI = b"\xff\xd9"
_BASELINE, _SCAN = 0xC0, 0xDA
_TABLES_AND_TEXTS = frozenset({0xC4, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE})
_CHANNELS = (1, 3, 4)
_ALL_OF_THE_BLOCK = b"\0\x3f\0"  # of a scan: from the first coefficient to the last, at once
_MARKER = re.compile(rb"\xff[^\0\xd0-\xd7]")  # neither a stuffed byte nor a restart


def coded_pixels(data: bytes) -> slice | None:
    """Return where the coded pixels of a plain JPEG are; None for any other file.

    Args:
        data: the file.

    Returns:
        From the first byte after the header of the only scan to the end marker. The bounds in
        `structure` hold for such a file.
    """
    if not data.startswith(_START):
        return None
    at = channels = 0
    size = 0  # of the segment before
    for _ in range(MAX_JPEG_SEGMENTS):
        at += 2 + size
        head = data[at : at + 10]
        if len(head) < 10 or head[0] != 0xFF or at > MAX_JPEG_HEADER_BYTES:
            return None
        kind, size = head[1], head[2] << 8 | head[3]
        if kind == _SCAN:
            return _scan(data, at + 4, at + 2 + size, channels)
        if kind == _BASELINE and not channels and head[4] == 8 and head[9] in _CHANNELS:
            channels = head[9]
        elif kind not in _TABLES_AND_TEXTS or size < 2:
            return None
    return None


def _scan(data: bytes, header: int, start: int, channels: int) -> slice | None:
    """Return the pixels of a scan of all channels that ends with the end marker."""
    content = data[header:start]
    if (
        not channels
        or len(content) != 2 * channels + 4
        or content[0] != channels
        or not content.endswith(_ALL_OF_THE_BLOCK)
    ):
        return None
    marker = _MARKER.search(data, start)
    return None if marker is None or marker.group() != _EOI else slice(start, marker.start())
