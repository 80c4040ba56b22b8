"""Finds the XMP of an image file in its bytes, without decoding the image.

XMP is RDF in UTF-8, UTF-16 or UTF-32, and most formats hold it as it is. Two do not always: a PNG
may hold it compressed or as hex digits, and a JPEG cuts long XMP into segments (Adobe's XMP
Specification, part 3).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_BEGIN, _END = "<rdf:RDF", "</rdf:RDF>"
_ENCODINGS = ((1, ("utf-8",)), (2, ("utf-16-le", "utf-16-be")), (4, ("utf-32-le", "utf-32-be")))
_MOST_PACKET = 2**22
_MOST_PACKETS = 64  # a file has one, or a few: those of its previews
_MOST_INFLATED = 2**23  # of one file, so that a small one cannot take minutes
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_SCAN = 0xDA  # the marker after which there are pixels
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_PROFILES = (b"Raw profile type xmp", b"Raw profile type APP1", b"Raw profile type exif")
_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENSION_HEAD = (
    len(_EXTENSION) + 32 + 8
)  # then the GUID, the length of all, the place of this one


def packets_in(data: bytes) -> Iterator[str]:
    """Yield the text of each `rdf:RDF` element that a file seems to hold.

    Of text in UTF-16 and UTF-32 the byte order cannot be told, so each is yielded in both orders.

    Args:
        data: an image file, or a file of XMP.
    """
    yield from _elements(data)
    if data.startswith(_PNG):
        for text in _png_texts(data):
            yield from _elements(text)
    elif data.startswith(_JPEG) and _EXTENSION in data:
        for text in _extensions(data):
            yield from _elements(text)


def _elements(data: bytes) -> Iterator[str]:
    for begin, end, width, encodings in _FORMS:
        at = data.find(begin)
        for _ in range(_MOST_PACKETS):
            if at < 0:
                break
            found = data.find(end, at, at + _MOST_PACKET)
            stop = found + len(end) if found >= 0 else at + _MOST_PACKET
            for encoding in encodings:
                shift = width - 1 if encoding.endswith("be") else 0
                size = (stop + width - 1 - at) // width * width
                first = max(at - shift, 0)
                yield data[first : first + size].decode(encoding, "replace")
            at = data.find(begin, stop)


def _spaced(text: str, width: int) -> bytes:
    """Return what text in both byte orders of an encoding has in common."""
    return bytes(width - 1).join(character.encode() for character in text)


_FORMS = tuple(
    (_spaced(_BEGIN, width), _spaced(_END, width), width, encodings)
    for width, encodings in _ENCODINGS
)


def _png_texts(data: bytes) -> Iterator[bytes]:
    """Yield the XMP in text chunks that does not stand there as it is."""
    at, left = len(_PNG), _MOST_INFLATED
    while at + 8 <= len(data) and left > 0:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"iTXt", b"zTXt", b"tEXt"):
            text = _png_text(kind, data[at + 8 : at + 8 + length], left)
            left -= len(text)
            yield text
        at += length + 12


def _png_text(kind: bytes, body: bytes, most: int) -> bytes:
    keyword, _, rest = body.partition(b"\0")
    if keyword not in (_XMP_KEYWORD, *_PROFILES):
        return b""
    if kind == b"iTXt":
        if not rest.startswith(b"\1"):
            return b""  # not compressed: found where it is
        parts = rest[2:].split(b"\0", 2)  # the language, the translated keyword, the text
        text = _inflated(parts[-1], most)
    else:
        text = _inflated(rest[1:], most) if kind == b"zTXt" else rest
    return text if keyword == _XMP_KEYWORD else _profile(text)


def _inflated(data: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error:
        return b""


def _profile(text: bytes) -> bytes:
    """Return the bytes of a profile as ImageMagick writes it: name, length, and hex digits."""
    digits = b"".join(text.split()[2:])
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""


def _extensions(data: bytes) -> Iterator[bytes]:
    """Yield each text that a JPEG has cut into segments, in one piece."""
    pieces: dict[bytes, dict[int, bytes]] = {}
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        if data[at + 1] == 0xFF:  # fill
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if body.startswith(_EXTENSION) and len(body) > _EXTENSION_HEAD:
            guid = body[len(_EXTENSION) : len(_EXTENSION) + 32]
            place = int.from_bytes(body[_EXTENSION_HEAD - 4 : _EXTENSION_HEAD], "big")
            pieces.setdefault(guid, {})[place] = body[_EXTENSION_HEAD:]
        at += 2 + max(length, 2)
    for found in pieces.values():
        yield b"".join(found[place] for place in sorted(found))
