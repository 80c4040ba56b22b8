"""Transparency is dropped, for content and style: the colours under it are those of the picture."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, features

from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image
from tests.pipelines.fetch.colours import chunk, with_chunks
from tests.pipelines.fetch.tiffs import write as tiff
from tests.pipelines.pictures import encode
from tests.pipelines.tiny_models import tiny
from uso_core.model.images import to_rgb
from uso_core.request import StylizeRequest

COLOUR = (200, 120, 90)
GREY = 90
SIZE = (64, 48)
ALPHAS = (0, 128, 255)


def with_alpha(mode: str, alpha: int) -> Image.Image:
    return Image.new(mode, SIZE, (*COLOUR, alpha) if mode == "RGBA" else (GREY, alpha))


def palette() -> Image.Image:
    image = Image.new("P", SIZE, 1)
    image.putpalette([1, 2, 3, *COLOUR])
    return image


def premultiplied(number: Any, alpha: int) -> bytes:
    top = np.iinfo(number).max
    levels = np.array([*COLOUR, 255]) / 255 * (alpha / 255)
    levels[3] = alpha / 255
    pixels = np.broadcast_to(np.round(levels * top).astype(number), (*SIZE[::-1], 4))
    return tiff(pixels, photometric="rgb", extrasamples=("assocalpha",))


def files() -> dict[str, tuple[bytes, float]]:
    """Files of one colour under some transparency, and the tolerance in levels."""
    found: dict[str, tuple[bytes, float]] = {}
    for alpha in ALPHAS:
        rgba = with_alpha("RGBA", alpha)
        found[f"png {alpha}"] = encode(rgba), 0
        found[f"webp {alpha}"] = encode(rgba, "WEBP", lossless=True, exact=True), 0
        found[f"tiff {alpha}"] = encode(rgba, "TIFF"), 0
        if features.check("avif"):
            found[f"avif {alpha}"] = encode(rgba, "AVIF", quality=100), 3
        found[f"palette png {alpha}"] = encode(palette(), transparency=bytes([255, alpha])), 0
        if alpha:  # without it, premultiplied colours are gone
            found[f"premultiplied tiff {alpha}"] = premultiplied(np.uint8, alpha), 2
            found[f"premultiplied tiff of 16 bits {alpha}"] = premultiplied(np.uint16, alpha), 1
    found["gif"] = encode(palette(), "GIF", transparency=1), 0
    found["png with a transparent colour"] = (
        encode(Image.new("RGB", SIZE, COLOUR), transparency=COLOUR),
        0,
    )
    deep = np.broadcast_to(np.array([*COLOUR, 0]).astype(">u2") * 257, (*SIZE[::-1], 4))
    found["png of 16 bits"] = png16(deep.astype(">u2")), 0
    return found


def png16(pixels: Any) -> bytes:
    """A PNG file of RGBA with 16 bits, which Pillow does not write."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


FILES = files()


def decode(data: bytes) -> Image.Image:
    return decode_image(Fetched(data), "/a.png", max_megapixels=1, exif_rotate=True)


@pytest.mark.parametrize("name", FILES)
def test_the_colour_under_transparency_is_the_pictures(name: str) -> None:
    data, tolerance = FILES[name]
    rgb = np.asarray(to_rgb(decode(data))).astype(int)
    assert np.abs(rgb - COLOUR).max() <= tolerance


@pytest.mark.parametrize("alpha", ALPHAS)
def test_grey_with_alpha_and_a_transparent_grey(alpha: int) -> None:
    for data in (
        encode(with_alpha("LA", alpha)),
        encode(Image.new("L", SIZE, GREY), transparency=GREY),
        with_chunks(encode(Image.new("I;16", SIZE, GREY * 257)), chunk(b"tRNS", b"\x5a\x5a")),
    ):
        assert to_rgb(decode(data)).getpixel((9, 9)) == (GREY,) * 3


def test_premultiplied_colours_without_alpha_are_black() -> None:
    for number in (np.uint8, np.uint16):
        assert to_rgb(decode(premultiplied(number, 0))).getpixel((9, 9)) == (0, 0, 0)


def test_content_and_style_see_the_same_picture_as_without_transparency() -> None:
    def prepared(image: Image.Image) -> Any:
        request = StylizeRequest(
            content_image=image, style_images=[image], content_long_size=64, num_steps=1
        )
        return tiny().prepare(request)

    opaque = prepared(Image.new("RGB", SIZE, COLOUR))
    for data, tolerance in FILES.values():
        if tolerance == 0:
            seen = prepared(decode(data))
            assert seen.content.tobytes() == opaque.content.tobytes()
            assert torch.equal(seen.styles[0], opaque.styles[0])
