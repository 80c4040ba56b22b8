"""Plain images of decoded files, upright, without a copy of their pixels."""

from __future__ import annotations

from PIL import Image, ImageFile

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image, orientation: int | None) -> Image.Image:
    """Return the image turned upright; itself if its orientation is 1, unknown or None."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def detached(opened: ImageFile.ImageFile) -> Image.Image:
    """Return the image of a loaded file, which keeps neither the file nor a copy of the pixels."""
    return opened._new(opened.im)  # noqa: SLF001 - `copy` takes the memory of the pixels again
