"""The image formats that a run can write, and the layouts of the shards that it can pack.

A new image format is a name in `FormatName` and an entry in `FORMATS`. A new layout is a name in
`LayoutName`, a line in `LAYOUT_SUMMARIES` and an entry in `pipelines.packing.shard.LAYOUTS`.
Everything else (the configuration, the commands, the estimates and the fingerprints) follows from
these tables.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from PIL import Image  # at run time the caller's image brings its own encoder

FormatName = Literal["png", "webp", "jpeg", "avif"]
"""Accepted values of `output.format`; in upper case, Pillow's names of the encoders."""
LayoutName = Literal["webdataset", "parquet", "folder"]
"""Layouts of a dataset in shards: `output.layout` accepts them beside `images`."""

DEFAULT_QUALITY = 95
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286

LAYOUT_SUMMARIES: Mapping[LayoutName, str] = {
    "webdataset": "tar shards",
    "parquet": "Parquet shards that hold the images",
    "folder": "image files with a metadata.jsonl, the imagefolder of Hugging Face",
}
"""A short description of each layout for help texts."""


@dataclass(frozen=True, slots=True)
class Compression:
    """One of the ways in which a format compresses.

    Attributes:
        lossless: True if it keeps every pixel value; a lossless compression ignores the quality.
        bytes_per_pixel: size of a detailed picture's file; typical, not measured on USO's images.
        options: Pillow's encoder options for a quality from 1 to 100.
    """

    lossless: bool
    bytes_per_pixel: float
    options: Callable[[int], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """An image format.

    Attributes:
        extensions: extensions of its files, without a dot; a run writes the first one.
        mime_type: media type of its files.
        compressions: the ways in which it compresses, one or two; `output.lossless` chooses if
            there are two.
        metadata: Pillow's encoder options that store a text in the file.
        feature: Pillow's name of the library that it needs; None: it is in every build of Pillow.
    """

    extensions: tuple[str, ...]
    mime_type: str
    compressions: tuple[Compression, ...]
    metadata: Callable[[str], dict[str, Any]]
    feature: str | None = None


def _text_chunk(text: str) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415 (see the import of Image)

    chunks = PngInfo()
    chunks.add_text("parameters", text)
    return {"pnginfo": chunks}


def _user_comment(text: str) -> dict[str, Any]:
    from PIL import Image  # noqa: PLC0415 (see the import of Image)

    exif = Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")
    # As bytes: Pillow's AVIF encoder takes an `Exif` with nothing but such a part for empty.
    return {"exif": exif.tobytes()}


def _png_options(_quality: int) -> dict[str, Any]:
    return {"compress_level": 1}


def _lossless_webp_options(_quality: int) -> dict[str, Any]:
    return {"lossless": True, "quality": 50, "method": 1}


def _webp_options(quality: int) -> dict[str, Any]:
    return {"quality": quality, "method": 4}


def _jpeg_options(quality: int) -> dict[str, Any]:
    return {"quality": quality, "subsampling": "4:4:4" if quality >= 90 else "4:2:0"}


def _avif_options(quality: int) -> dict[str, Any]:
    # The bytes depend on the number of threads, which would be that of the machine's cores.
    sampling = "4:4:4" if quality >= 90 else "4:2:0"
    return {"quality": quality, "subsampling": sampling, "speed": 8, "max_threads": 1}


FORMATS: Mapping[FormatName, ImageFormat] = {
    "png": ImageFormat(("png",), "image/png", (Compression(True, 1.6, _png_options),), _text_chunk),
    "webp": ImageFormat(
        ("webp",),
        "image/webp",
        (Compression(False, 0.25, _webp_options), Compression(True, 1.1, _lossless_webp_options)),
        _user_comment,
    ),
    "jpeg": ImageFormat(
        ("jpg", "jpeg"), "image/jpeg", (Compression(False, 0.45, _jpeg_options),), _user_comment
    ),
    "avif": ImageFormat(
        ("avif",), "image/avif", (Compression(False, 0.2, _avif_options),), _user_comment, "avif"
    ),
}

FORMAT_BY_SUFFIX: Mapping[str, FormatName] = {
    f".{extension}": name for name, known in FORMATS.items() for extension in known.extensions
}
"""The format of a file by the end of its name: `.jpg` → `jpeg`."""


def can_write(name: FormatName) -> bool:
    """Return False if the Pillow of this machine lacks the encoder of a format."""
    feature = FORMATS[name].feature
    if feature is None:
        return True
    from PIL import features  # noqa: PLC0415 (see the import of Image)

    return bool(features.check(feature))


@dataclass(frozen=True, slots=True)
class ImageEncoding:
    """A format together with the settings of its encoder.

    Attributes:
        format: name of the format.
        quality: 1 to 100; lossless compression ignores it.
        lossless: asks for lossless compression; formats that compress in one way only ignore it.
    """

    format: FormatName = "png"
    quality: int = DEFAULT_QUALITY
    lossless: bool = False

    @property
    def extension(self) -> str:
        """Extension of the files, without a dot."""
        return FORMATS[self.format].extensions[0]

    @property
    def bytes_per_pixel(self) -> float:
        """Estimated size of the files."""
        return self._compression.bytes_per_pixel

    @property
    def file_facts(self) -> dict[str, object]:
        """The settings on which the files' contents depend, as fingerprints contain them."""
        lossless = self._compression.lossless
        return {
            "format": self.format,
            "lossless": lossless,
            "quality": None if lossless else self.quality,
        }

    def encode(self, image: Image.Image, recipe: str | None = None) -> bytes:
        """Encode an image; the same pixels and recipe always give the same bytes.

        Args:
            image: the image; nothing of its `info` goes into the file.
            recipe: a text for the file's metadata: the text chunk `parameters` of a PNG, the
                EXIF user comment of other formats. It may have 30,000 characters.

        Raises:
            OSError: the format cannot hold images of this mode.
        """
        buffer = io.BytesIO()
        bare = image.copy()
        bare.info.clear()  # encoders would copy parts of it, such as comments, into the file
        options = self._compression.options(self.quality)
        if recipe is not None:
            options |= FORMATS[self.format].metadata(recipe)
        bare.save(buffer, self.format.upper(), **options)
        return buffer.getvalue()

    @property
    def _compression(self) -> Compression:
        choices = FORMATS[self.format].compressions
        return next((one for one in choices if one.lossless == self.lossless), choices[0])
