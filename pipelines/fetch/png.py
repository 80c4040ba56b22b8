"""The chunks of a PNG file: colours are read here, and chunks that nobody needs are left out.

Pillow unpacks texts and profiles, and takes a file for damaged if one exceeds 1 MB.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.fetch.colour.profiles import SRGB, RgbSpace
from pipelines.fetch.colour.stated import Stated, by_code_points, by_profile
from pipelines.fetch.errors import UnsupportedImageError

MAX_CHUNKS = 100_000
MAX_PROFILE_BYTES = 16 * 2**20
MAX_TEXT_BYTES = 2**20
_SIGNATURE_BYTES = 8
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Orientations may be in these; all other texts are of no use here.
_KEPT_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")
_GAMMA_OF_SRGB = (0.44, 0.47)


@dataclass(slots=True)
class PngFile:
    """A PNG file.

    Attributes:
        data: the file for Pillow: without profile, and without texts that are of no use.
        profile: the ICC profile; None if there is none that can be unpacked.
        broken_profile: True if there is a profile that cannot be, or that is over 16 MiB.
        chunks: the content of chunks about colours, by type.
    """

    data: bytes = b""
    profile: bytes | None = None
    broken_profile: bool = False
    chunks: dict[bytes, bytes] = field(default_factory=dict)

    def stated(self) -> Stated:
        """Return the colour space: cICP, then iCCP, sRGB, and gAMA with cHRM."""
        cicp = self.chunks.get(b"cICP", b"")
        if len(cicp) == 4 and cicp[2] == 0 and cicp[3] == 1:
            return by_code_points(cicp[0], cicp[1])
        if self.profile is not None:
            return by_profile(self.profile)
        if b"sRGB" in self.chunks or self.broken_profile:
            return Stated(broken=self.broken_profile)
        return Stated(space=_measured(self.chunks))


def read_png(data: bytes) -> PngFile:
    """Read the chunks of a PNG file.

    Raises:
        UnsupportedImageError: it has too many chunks.
    """
    png, kept = PngFile(), [data[:_SIGNATURE_BYTES]]
    start, seen = _SIGNATURE_BYTES, set[bytes]()
    for at, kind, content in _chunks(data):
        if kind == b"iCCP":
            _take_profile(png, content)
        elif kind in (b"cICP", b"sRGB", b"gAMA", b"cHRM"):
            png.chunks.setdefault(kind, content)
        if kind == b"iCCP" or (kind in _TEXTS and not _is_kept(kind, content, seen)):
            kept.append(data[start:at])
            start = at + 12 + len(content)
    png.data = data if start == _SIGNATURE_BYTES else b"".join([*kept, data[start:]])
    return png


def _chunks(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the place, type and content of each whole chunk before the last."""
    at = _SIGNATURE_BYTES
    for _ in range(MAX_CHUNKS + 1):
        head = data[at : at + 8]
        if len(head) < 8 or head[4:] == b"IEND":
            return
        size, kind = struct.unpack(">I4s", head)
        content = data[at + 8 : at + 8 + size]
        if at + 12 + size > len(data):
            return
        yield at, kind, content
        at += 12 + size
    raise UnsupportedImageError(f"PNG with more than {MAX_CHUNKS:,} chunks is not supported")


def _take_profile(png: PngFile, content: bytes) -> None:
    if png.profile is not None:
        return
    name, _, packed = content.partition(b"\0")
    png.profile = _unpacked(packed[1:], MAX_PROFILE_BYTES) if 0 < len(name) < 80 else None
    png.broken_profile = png.profile is None


def _is_kept(kind: bytes, content: bytes, seen: set[bytes]) -> bool:
    keyword, _, text = content.partition(b"\0")
    if keyword not in _KEPT_TEXTS or keyword in seen or len(text) > MAX_TEXT_BYTES:
        return False
    seen.add(keyword)
    if kind == b"zTXt":
        return _unpacked(text[1:], MAX_TEXT_BYTES) is not None
    if kind == b"iTXt" and text[:1] == b"\1":
        packed = text[2:].partition(b"\0")[2].partition(b"\0")[2]
        return _unpacked(packed, MAX_TEXT_BYTES) is not None
    return True


def _unpacked(packed: bytes, most: int) -> bytes | None:
    """Return zlib's content; None if it is damaged or larger than `most`."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, most)
    except zlib.error:
        return None
    return content if unpacker.eof else None


def _measured(chunks: dict[bytes, bytes]) -> RgbSpace | None:
    """Return the space of gAMA and cHRM; None without gAMA."""
    gamma = int.from_bytes(chunks.get(b"gAMA", b""), "big") / 100_000
    if not 0.1 <= gamma <= 10:
        return None
    curve = SRGB.curve if _GAMMA_OF_SRGB[0] <= gamma <= _GAMMA_OF_SRGB[1] else (1 / gamma,)
    points = chunks.get(b"cHRM", b"")
    if len(points) != 32:
        return RgbSpace(SRGB.primaries, SRGB.white, curve)
    x = [value / 100_000 for value in struct.unpack(">8I", points)]
    white, red, green, blue = zip(x[::2], x[1::2], strict=True)
    return RgbSpace((red, green, blue), white, curve)
