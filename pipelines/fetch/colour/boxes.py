"""Finds the colour and the crop of the primary image in the boxes of an AVIF or HEIC file."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MOST_BOXES = 4096
_FULL_BOX = 4  # version and flags


class _Cursor:
    """Reads big-endian numbers one after the other."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, size: int) -> int:
        value = self.data[self.at : self.at + size]
        if len(value) < size:
            raise ValueError("a box of the file is cut short")
        self.at += size
        return int.from_bytes(value, "big")


def code_points(data: bytes) -> tuple[int, int] | None:
    """Return the code points (H.273) of the primary image's primaries and curve, if it has them."""
    for kind, content in _primary_properties(data):
        if kind == b"colr" and content[:4] in (b"nclx", b"nclc") and len(content) >= 8:
            primaries, curve = struct.unpack(">HH", content[4:8])
            return primaries, curve
    return None


def clean_aperture(data: bytes, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return the part of the primary image to show (property `clap`), as stored.

    libheif crops by itself, libavif does not.

    Args:
        data: the file.
        width: pixels across, uncropped.
        height: pixels down, uncropped.

    Returns:
        Left, top, right and bottom; None for the whole image, or if they are not within it.
    """
    for kind, content in _primary_properties(data):
        if kind == b"clap" and len(content) == 32:
            return _part(content, width, height)
    return None


def _part(content: bytes, width: int, height: int) -> tuple[int, int, int, int] | None:
    numbers = struct.unpack(">IIIIiIiI", content)
    if not all(numbers[1::2]):
        return None
    parts = zip(numbers[::2], numbers[1::2], strict=True)
    wide, high, right, down = (over / under for over, under in parts)
    left, top = (width - wide) / 2 + right, (height - high) / 2 + down
    box = tuple(round(edge) for edge in (left, top, left + wide, top + high))
    inside = 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
    return (box[0], box[1], box[2], box[3]) if inside else None


def _primary_properties(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the type and content of the primary image's properties; none of a damaged file."""
    try:
        meta = dict(_boxes(data)).get(b"meta", b"")[_FULL_BOX:]
        found = dict(_boxes(meta))
        properties = dict(_boxes(found.get(b"iprp", b"")))
        listed = list(_boxes(properties.get(b"ipco", b"")))
        wanted = _properties_of(_primary(found.get(b"pitm", b"")), properties.get(b"ipma", b""))
    except (ValueError, struct.error):
        return []  # libavif and libheif judge whether the file is damaged
    return [listed[index - 1] for index in wanted if 0 < index <= len(listed)]


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the type and content of boxes, one after the other."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", data[at + 8 : at + 16])
            head = 16
        end = at + size if size else len(data)
        if end < at + head:
            raise ValueError("a box of the file has no size")
        # The pixels are most of a file, and are not copied.
        yield kind, b"" if kind == b"mdat" else data[at + head : end]
        at = end


def _primary(content: bytes) -> int:
    box = _Cursor(content)
    version = box.take(1)
    box.at = _FULL_BOX
    return box.take(2 if version == 0 else 4)


def _properties_of(item: int, content: bytes) -> list[int]:
    """Return the numbers of an item's properties, from 1, by the box of associations."""
    box = _Cursor(content)
    version, flags = box.take(1), box.take(3)
    wide = flags & 1
    for _ in range(min(box.take(4), _MOST_BOXES)):
        found = box.take(2 if version == 0 else 4)
        numbers = [box.take(2 if wide else 1) for _ in range(box.take(1))]
        if found == item:
            return [number & (0x7FFF if wide else 0x7F) for number in numbers]
    return []
