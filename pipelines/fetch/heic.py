"""Opens HEIC files, if the extra `heic` is installed: pillow-heif, with libheif in it."""

from __future__ import annotations

import io
from importlib import import_module
from typing import cast

from PIL import ImageFile

from pipelines.fetch.errors import UnsupportedImageError

_NO_DECODER = (
    "it looks like HEIC, which needs the extra heic: pip install 'uso-batch[heic]', on every "
    "machine that runs actors; or convert it to JPEG"
)


def open_heic(data: bytes) -> ImageFile.ImageFile:
    """Open the primary image of a HEIC file; Pillow's list of openers stays as it is.

    Raises:
        UnsupportedImageError: pillow-heif is not installed.
        SyntaxError: the file is damaged.
    """
    try:
        plugin = import_module("pillow_heif")
    except ImportError as error:
        raise UnsupportedImageError(_NO_DECODER) from error
    return cast("ImageFile.ImageFile", plugin.HeifImageFile(io.BytesIO(data)))
