"""Writes a file with one plain directory over the pixels of another file, for Pillow to decode.

So Pillow, and libtiff below it, see only tags that were read and checked before.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence

from PIL import Image

from pipelines.fetch.plain_images import detached
from pipelines.fetch.tiff import tags
from pipelines.fetch.tiff.layout import JPEG, Layout
from pipelines.fetch.tiff.tags import DamagedTiffError, TiffBytes

_NUMBERS = (
    tags.BITS,
    tags.COMPRESSION,
    tags.FILL_ORDER,
    tags.SAMPLES,
    tags.PLANAR,
    tags.T4_OPTIONS,
    tags.T6_OPTIONS,
    tags.PREDICTOR,
    tags.COLOR_MAP,
    tags.INK_SET,
    tags.EXTRA_SAMPLES,
    tags.SAMPLE_FORMAT,
    tags.YCBCR_SUBSAMPLING,
    tags.YCBCR_POSITIONING,
)
_STORED = (tags.JPEG_TABLES, tags.YCBCR_COEFFICIENTS, tags.REFERENCE_BLACK_WHITE)
_HEADER = 8


def load(data: bytes) -> Image.Image:
    """Return the loaded image of a file that `as_it_is` or `with_tags` wrote."""
    with Image.open(io.BytesIO(data), formats=("TIFF",)) as opened:
        opened.load()
        return detached(opened)


def as_it_is(file: TiffBytes, layout: Layout) -> bytes:
    """Return a file with the same pixels and no other image, without orientation and metadata."""
    directory = layout.tags
    numbers = {tag: directory.values(tag) for tag in _NUMBERS if tag in directory}
    numbers[tags.PHOTOMETRIC] = (layout.photometric,)
    if layout.compression == JPEG:
        numbers.pop(tags.FILL_ORDER, None)  # means nothing there, but Pillow refuses most
    return with_tags(
        file,
        {**numbers, **_place(layout, layout.width, layout.chunk)},
        {tag: directory.stored(tag) for tag in _STORED if tag in directory},
    )


def as_bytes(file: TiffBytes, layout: Layout, row: int, plane: slice) -> bytes:
    """Return a grey file of 8 bits whose pixels are the unpacked bytes of one plane.

    Args:
        file: the file.
        layout: the layout of its image.
        row: bytes of a row of all strips or tiles, side by side.
        plane: the strips or tiles of the plane.
    """
    across = -(-layout.width // layout.chunk[0])
    place = _place(layout, row, (row // across, layout.chunk[1]), plane)
    numbers = {
        tags.BITS: (8,),
        tags.COMPRESSION: (layout.compression,),
        tags.PHOTOMETRIC: (1,),
        tags.FILL_ORDER: (layout.fill_order,),
        tags.SAMPLES: (1,),
    }
    return with_tags(file, {**numbers, **place})


def _place(
    layout: Layout, width: int, chunk: tuple[int, int], plane: slice = slice(None)
) -> dict[int, tuple[int, ...]]:
    size = {tags.WIDTH: (width,), tags.HEIGHT: (layout.height,)}
    offsets, counts = layout.offsets[plane], layout.counts[plane]
    if not layout.tiled:
        strips = {tags.STRIP_OFFSETS: offsets, tags.STRIP_COUNTS: counts}
        return {**size, tags.ROWS_PER_STRIP: (chunk[1],), **strips}
    tiles = {tags.TILE_OFFSETS: offsets, tags.TILE_COUNTS: counts}
    return {**size, tags.TILE_WIDTH: (chunk[0],), tags.TILE_HEIGHT: (chunk[1],), **tiles}


def with_tags(
    file: TiffBytes,
    numbers: Mapping[int, Sequence[int]],
    stored: Mapping[int, tuple[int, int, bytes]] | None = None,
) -> bytes:
    """Return the file with a new directory of these tags at its end."""
    order, entries = file.order, dict(stored or {})
    for tag, values in numbers.items():
        if not values:
            continue
        kind, code = (3, "H") if max(values, default=0) < 65536 else (4, "I")
        try:
            entries[tag] = (kind, len(values), struct.pack(f"{order}{len(values)}{code}", *values))
        except struct.error as error:
            raise DamagedTiffError(f"tag {tag} is out of range") from error
    at = len(file.data) + len(file.data) % 2
    directory = struct.pack(f"{order}H", len(entries))
    beyond = at + 2 + 12 * len(entries) + 4
    values = b""
    for tag, (kind, count, content) in sorted(entries.items()):
        inline = content.ljust(4, b"\0")
        if len(content) > 4:
            inline = struct.pack(f"{order}I", beyond + len(values))
            values += content + b"\0" * (len(content) % 2)
        directory += struct.pack(f"{order}HHI", tag, kind, count) + inline
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    padding = b"\0" * (at - len(file.data))
    return b"".join([header, file.data[_HEADER:], padding, directory, b"\0" * 4, values])
