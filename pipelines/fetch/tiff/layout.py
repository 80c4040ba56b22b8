"""The pixels of one TIFF image as its tags describe them, and which image of a file is taken."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.fetch.errors import UnsupportedImageError
from pipelines.fetch.tiff import tags
from pipelines.fetch.tiff.tags import DamagedTiffError, Directory, TiffBytes

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, LAB = 0, 1, 2, 3, 4, 5, 6, 8
ASSOCIATED, ALPHA = 1, 2
JPEG = 7
_CAMERA_RAW = (32803, 34892)
_PHASE_ONE = (b"IIIITwaR", b"IIIICwaR", b"MMMMRawT", b"MMMMRawC")
_REDUCED, _TRANSPARENCY = 1, 4
_OLD_REDUCED = 2
_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3, LAB: 3}
_COLOUR_NAMES = {
    WHITE_IS_ZERO: "grey",
    BLACK_IS_ZERO: "grey",
    RGB: "RGB",
    PALETTE: "palette",
    MASK: "mask",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
    LAB: "Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "camera raw",
    34892: "camera raw",
    32844: "LogL",
    32845: "LogLuv",
}
_WITH_PREDICTOR = (5, 8, 32946, 34925, 50000)
_NUMBER_NAMES = {1: "", 2: "signed ", 3: "float ", 4: "undefined ", 5: "complex ", 6: "complex "}
COMPRESSIONS = {
    1: "none",
    2: "CCITT",
    3: "CCITT Group 3",
    4: "CCITT Group 4",
    5: "LZW",
    6: "old-style JPEG",
    JPEG: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    34712: "JPEG 2000",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34713: "Nikon NEF",
    34887: "LERC",
    50002: "JPEG XL",
    52546: "JPEG XL",
}


def unsupported(kind: str) -> UnsupportedImageError:
    """Return the error for a kind of pixels that is not decoded."""
    return UnsupportedImageError(
        f"TIFF with {kind} is not supported; store it as RGB with 8 or 16 bits"
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of the pixels of one image.

    Attributes:
        width: in pixels, as stored.
        height: in pixels, as stored.
        bits: bits of each sample.
        number: 1 unsigned, 2 signed, 3 float.
        photometric: the meaning of the samples.
        samples: samples per pixel.
        extra: the kind of each further sample: 0 unspecified, 1 associated alpha, 2 alpha.
        separate: True if each sample has its own plane.
        compression: its number in TIFF.
        predictor: 1 none, 2 horizontal differences, 3 of floats.
        fill_order: 1, or 2 for reversed bits.
        chunk: width and height of a tile, or of a strip.
        tiled: True for tiles.
        offsets: one for each strip or tile.
        counts: the bytes in each strip or tile.
        orientation: as in EXIF.
        tags: the other tags.
        order: the byte order, as in `struct`.
    """

    width: int
    height: int
    bits: int
    number: int
    photometric: int
    samples: int
    extra: tuple[int, ...]
    separate: bool
    compression: int
    predictor: int
    fill_order: int
    chunk: tuple[int, int]
    tiled: bool
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    orientation: int
    tags: Directory
    order: str

    @property
    def colours(self) -> int:
        """The number of samples that are colours or grey."""
        return self.samples - len(self.extra)

    @property
    def alpha(self) -> int | None:
        """`ASSOCIATED` or `ALPHA` if the sample after the colours is alpha, else None."""
        return self.extra[0] if self.extra and self.extra[0] in (ASSOCIATED, ALPHA) else None

    @property
    def is_unclear(self) -> bool:
        """True for grey with several samples of unknown kind, which may as well be colours."""
        grey = self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)
        return grey and self.extra[:2] == (0, 0)

    @property
    def kind(self) -> str:
        """The kind of pixels in words."""
        numbers = f"{_NUMBER_NAMES.get(self.number, 'unknown ')}{self.bits}-bit "
        colour = _COLOUR_NAMES.get(self.photometric, f"photometric {self.photometric}")
        extra = f" with {len(self.extra)} more samples" if self.extra else ""
        planes = " in separate planes" if self.separate and self.samples > 1 else ""
        name = COMPRESSIONS.get(self.compression, f"number {self.compression}")
        packed = f", compressed as {name}" if self.compression != 1 else ""
        return f"{numbers}{colour} pixels{extra}{planes}{packed}"


def main_image(file: TiffBytes) -> Directory:
    """Return the image to take: the first page that is neither a preview nor a mask.

    If there is none, or if a sub-image of it is larger, that sub-image is the picture.

    Raises:
        DamagedTiffError: the file is damaged.
        UnsupportedImageError: it is a camera's raw file, or has only previews.
    """
    pages = list(file.chain())
    if not pages:
        raise DamagedTiffError("it has no image")
    children = {id(page): file.children(page) for page in pages}
    everything = [*pages, *(child for found in children.values() for child in found)]
    _refuse_camera_raw(file, everything)
    page = next((page for page in pages if _is_picture(page)), pages[0])
    own = [one for one in (page, *children[id(page)]) if _is_picture(one)]
    if not own:
        raise unsupported("nothing but a preview or a mask (tag NewSubfileType)")
    return max(own, key=_area)


def read_layout(directory: Directory) -> Layout:
    """Return the layout of an image.

    Raises:
        DamagedTiffError: a necessary tag is missing or wrong.
        UnsupportedImageError: samples differ in size or kind.
    """
    width, height = directory.value(tags.WIDTH, 0), directory.value(tags.HEIGHT, 0)
    samples = directory.value(tags.SAMPLES, 1)
    if width <= 0 or height <= 0 or not 1 <= samples <= 64:
        raise DamagedTiffError(f"it is {width}x{height} with {samples} samples per pixel")
    compression = directory.value(tags.COMPRESSION, 1)
    photometric = directory.value(tags.PHOTOMETRIC, _guess(samples, compression))
    tiled = tags.TILE_WIDTH in directory
    rows = min(height, directory.value(tags.ROWS_PER_STRIP, height) or height)
    chunk = (directory.value(tags.TILE_WIDTH, 0), directory.value(tags.TILE_HEIGHT, 0))
    return Layout(
        width=width,
        height=height,
        bits=_one(directory, tags.BITS, samples),
        number=_one(directory, tags.SAMPLE_FORMAT, samples),
        photometric=photometric,
        samples=samples,
        extra=_extra(directory, samples, photometric),
        separate=directory.value(tags.PLANAR, 1) == 2 and samples > 1,
        compression=compression,
        # As in libtiff, the tag means nothing with other compressions.
        predictor=directory.value(tags.PREDICTOR, 1) if compression in _WITH_PREDICTOR else 1,
        fill_order=directory.value(tags.FILL_ORDER, 1),
        chunk=chunk if tiled else (width, rows),
        tiled=tiled,
        offsets=directory.values(tags.TILE_OFFSETS if tiled else tags.STRIP_OFFSETS),
        counts=directory.values(tags.TILE_COUNTS if tiled else tags.STRIP_COUNTS),
        orientation=directory.value(tags.ORIENTATION, 1),
        tags=directory,
        order=directory.order,
    )


def _refuse_camera_raw(file: TiffBytes, directories: list[Directory]) -> None:
    raw = (
        file.data[8:10] == b"CR"
        or file.data[8:16] in _PHASE_ONE
        or any(
            tags.DNG_VERSION in one or one.value(tags.PHOTOMETRIC, -1) in _CAMERA_RAW
            for one in directories
        )
    )
    if raw:
        raise unsupported("a camera's raw file (DNG, NEF, CR2, ARW, …)")


def _is_picture(directory: Directory) -> bool:
    kind = directory.value(tags.SUBFILE_TYPE, 0)
    is_old_preview = directory.value(tags.OLD_SUBFILE_TYPE, 1) == _OLD_REDUCED
    return not kind & (_REDUCED | _TRANSPARENCY) and not is_old_preview


def _area(directory: Directory) -> int:
    return directory.value(tags.WIDTH, 0) * directory.value(tags.HEIGHT, 0)


def _guess(samples: int, compression: int) -> int:
    """Return the meaning of samples without the tag, as libtiff guesses it."""
    if samples >= 3:
        return RGB
    return WHITE_IS_ZERO if compression in (2, 3, 4) else BLACK_IS_ZERO


def _one(directory: Directory, tag: int, samples: int) -> int:
    values = set(directory.values(tag)[:samples]) or {1}
    if len(values) > 1:
        raise unsupported(f"samples of different sizes or kinds ({sorted(values)})")
    return values.pop()


def _extra(directory: Directory, samples: int, photometric: int) -> tuple[int, ...]:
    count = max(0, samples - _COLOURS.get(photometric, samples))
    given = directory.values(tags.EXTRA_SAMPLES)[:count]
    return given + (0,) * (count - len(given))
