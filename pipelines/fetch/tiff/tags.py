"""Reads the directories of a TIFF file, within bounds: only the tags that are asked for.

Pillow reads every tag of a directory, and every directory below it, which has no bound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MAX_ENTRIES = 4096
MAX_VALUES = 400_000
"""Most values of one tag: 4 planes of 100,000 strips, or the palette of 16-bit pixels."""
_MAX_DIRECTORIES = 32

# Type: bytes per value, and the code of struct.
_TYPES = {
    1: (1, "B"),
    2: (1, "s"),
    3: (2, "H"),
    4: (4, "I"),
    5: (8, "II"),
    6: (1, "b"),
    7: (1, "s"),
    8: (2, "h"),
    9: (4, "i"),
    10: (8, "ii"),
    11: (4, "f"),
    12: (8, "d"),
    13: (4, "I"),
    16: (8, "Q"),
    17: (8, "q"),
    18: (8, "Q"),
}

SUBFILE_TYPE = 254
OLD_SUBFILE_TYPE = 255
WIDTH = 256
HEIGHT = 257
BITS = 258
COMPRESSION = 259
PHOTOMETRIC = 262
FILL_ORDER = 266
T4_OPTIONS = 292
T6_OPTIONS = 293
STRIP_OFFSETS = 273
ORIENTATION = 274
SAMPLES = 277
ROWS_PER_STRIP = 278
STRIP_COUNTS = 279
PLANAR = 284
PREDICTOR = 317
WHITE_POINT = 318
COLOR_MAP = 320
TILE_WIDTH = 322
TILE_HEIGHT = 323
TILE_OFFSETS = 324
TILE_COUNTS = 325
SUB_IFDS = 330
INK_SET = 332
EXTRA_SAMPLES = 338
SAMPLE_FORMAT = 339
JPEG_TABLES = 347
YCBCR_COEFFICIENTS = 529
YCBCR_SUBSAMPLING = 530
YCBCR_POSITIONING = 531
REFERENCE_BLACK_WHITE = 532
ICC_PROFILE = 34675
DNG_VERSION = 50706


class DamagedTiffError(ValueError):
    """The structure of the file is damaged, or exceeds a bound."""


class Directory:
    """The tags of one image; values are read when they are asked for."""

    def __init__(self, file: TiffBytes, entries: dict[int, tuple[int, int, int]]) -> None:
        self._file = file
        self._entries = entries

    @property
    def order(self) -> str:
        """The byte order, as in `struct`."""
        return self._file.order

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def values(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag; empty if it is absent.

        Raises:
            DamagedTiffError: the values are outside the file, or not whole numbers.
        """
        kind, count, at = self._entries.get(tag, (4, 0, 0))
        size, code = _TYPES[kind]
        if code not in "BHIQbhiq":
            raise DamagedTiffError(f"tag {tag} is not a whole number")
        if count > MAX_VALUES:
            raise DamagedTiffError(f"tag {tag} has {count:,} values, more than {MAX_VALUES:,}")
        return self._file.unpack(f"{count}{code}", at, count * size)

    def value(self, tag: int, default: int) -> int:
        """Return the first number of a tag."""
        return next(iter(self.values(tag)), default)

    def stored(self, tag: int) -> tuple[int, int, bytes]:
        """Return the type, count and bytes of a tag; nothing of type 7 if it is absent."""
        kind, count, at = self._entries.get(tag, (7, 0, 0))
        return kind, count, self._file.slice(at, count * _TYPES[kind][0])


class TiffBytes:
    """A TIFF file in memory, classic or BigTIFF, of either byte order."""

    def __init__(self, data: bytes) -> None:
        """Read the header.

        Raises:
            DamagedTiffError: it is not the header of a TIFF file.
        """
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self._big = data[2:4] in (b"+\0", b"\0+")
        (self.first,) = self.unpack("Q", 8, 8) if self._big else self.unpack("I", 4, 4)

    def slice(self, at: int, size: int) -> bytes:
        """Return bytes of the file.

        Raises:
            DamagedTiffError: they are not all within the file.
        """
        if at < 0 or size < 0 or at + size > len(self.data):
            raise DamagedTiffError("a tag or a directory is outside the file")
        return self.data[at : at + size]

    def unpack(self, codes: str, at: int, size: int) -> tuple[int, ...]:
        """Return the numbers at an offset, by the file's byte order."""
        return struct.unpack(self.order + codes, self.slice(at, size))

    def chain(self) -> Iterator[Directory]:
        """Yield the directories of the pages, in order; at most the first 32."""
        at, seen = self.first, set[int]()
        while at and at not in seen and len(seen) < _MAX_DIRECTORIES:
            seen.add(at)
            directory, at = self._directory(at)
            yield directory

    def children(self, directory: Directory) -> list[Directory]:
        """Return the directories of a page's sub-images; at most the first 32."""
        return [self._directory(at)[0] for at in directory.values(SUB_IFDS)[:_MAX_DIRECTORIES]]

    def _directory(self, at: int) -> tuple[Directory, int]:
        head, entry, code = (8, 20, "HHQ") if self._big else (2, 12, "HHI")
        (count,) = self.unpack("Q" if self._big else "H", at, head)
        if count > MAX_ENTRIES:
            raise DamagedTiffError(f"a directory has {count:,} tags, more than {MAX_ENTRIES:,}")
        at += head
        inline = 8 if self._big else 4
        entries: dict[int, tuple[int, int, int]] = {}
        for place in range(at, at + count * entry, entry):
            tag, kind, values = self.unpack(code, place, entry - inline)
            if kind in _TYPES:
                offset = place + entry - inline
                if values * _TYPES[kind][0] > inline:
                    (offset,) = self.unpack("Q" if self._big else "I", offset, inline)
                entries.setdefault(tag, (kind, values, offset))
        end = at + count * entry
        # The last directory of some files ends before its pointer, which would be 0.
        has_pointer = end + inline <= len(self.data)
        pointer = self.unpack("Q" if self._big else "I", end, inline) if has_pointer else (0,)
        return Directory(self, entries), pointer[0]
