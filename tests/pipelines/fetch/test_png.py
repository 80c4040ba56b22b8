"""Every kind of PNG pixels, written by hand, and the first images of files with several."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image
from tests.pipelines.fetch.colours import chunk
from tests.pipelines.fetch.tiffs import COLOURS, GREY, Array, whole
from tests.pipelines.pictures import encode, picture
from uso_core.model.images import to_rgb

GREY_KIND, RGB_KIND, PALETTE_KIND, GREY_ALPHA_KIND, RGBA_KIND = 0, 2, 3, 4, 6


def worst(data: bytes, want: Array) -> float:
    """The largest difference between the picture that a row sees and levels from 0 to 1."""
    image = decode_image(Fetched(data), "/a.png", max_megapixels=1, exif_rotate=True)
    levels = np.asarray(to_rgb(image)).astype(float)
    return float(np.abs(levels - np.broadcast_to(want * 255, levels.shape)).max())


def png(pixels: Array, kind: int, bits: int, *chunks: bytes) -> bytes:
    """Return a PNG file of `[height, width, samples]`."""
    height, width, _ = pixels.shape
    rows = [b"\0" + _packed(row, bits) for row in pixels]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body


def _packed(row: Array, bits: int) -> bytes:
    if bits >= 8:
        return row.astype(f">u{bits // 8}").tobytes()
    digits = np.unpackbits(row.astype(np.uint8), axis=-1)[:, 8 - bits :]
    return np.packbits(digits.ravel()).tobytes()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_is_scaled_to_white(bits: int) -> None:
    levels = np.round(GREY * (2**bits - 1))[..., None]
    want = levels / (2**bits - 1)
    transparent = chunk(b"tRNS", struct.pack(">H", int(levels[3, 3, 0])))
    assert worst(png(levels, GREY_KIND, bits), want) <= 0.5
    assert worst(png(levels, GREY_KIND, bits, transparent), want) <= 0.5


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_show_their_colours(bits: int) -> None:
    ramp = np.linspace(0, 255, 2**bits).round()
    entries = np.stack([ramp, 255 - ramp, np.full_like(ramp, 7)], axis=-1).astype(np.uint8)
    index = np.round(GREY * (2**bits - 1)).astype(int)
    colours = chunk(b"PLTE", entries.tobytes()), chunk(b"tRNS", b"\0\x80")
    assert worst(png(index[..., None], PALETTE_KIND, bits, *colours), entries[index] / 255) == 0


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_and_alpha(bits: int) -> None:
    colours, grey = whole(COLOURS, bits), whole(GREY, bits)[..., None]
    alpha = np.full_like(grey, 3)
    key = chunk(b"tRNS", struct.pack(">3H", *colours[3, 3]))
    assert worst(png(colours, RGB_KIND, bits), COLOURS) < 1
    assert worst(png(colours, RGB_KIND, bits, key), COLOURS) < 1
    assert worst(png(np.concatenate([colours, alpha], -1), RGBA_KIND, bits), COLOURS) < 1
    with_alpha = np.concatenate([grey, alpha], -1)
    assert worst(png(with_alpha, GREY_ALPHA_KIND, bits), GREY[..., None]) < 1


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_more_bits_is_scaled(bits: int) -> None:
    pixels = whole(COLOURS, bits)
    data = imagecodecs.avif_encode(pixels, level=100, bitspersample=bits)
    assert worst(bytes(data), COLOURS) < 1


def test_the_inks_of_an_adobe_jpeg() -> None:
    inks = Image.fromarray(whole(COLOURS, 8)).convert("CMYK")
    want = np.asarray(inks.convert("RGB")) / 255
    assert worst(encode(inks, "JPEG", quality=100, subsampling=0), want) <= 2
    stored = 255 - np.asarray(inks)  # Adobe stores white as zero
    for space in ("CMYK", "YCCK"):
        data = imagecodecs.jpeg_encode(stored, 100, colorspace="CMYK", outcolorspace=space)
        assert worst(bytes(data), want) < 10, space


def test_of_an_animation_with_a_still_image_the_still_image_is_taken() -> None:
    still, moving = picture(seed=1), [picture(seed=2), picture(seed=3)]
    data = encode(still, save_all=True, append_images=moving, default_image=True)
    assert worst(data, np.asarray(still) / 255) == 0


@pytest.mark.parametrize("format_", ["WEBP", "GIF", "AVIF", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(format_: str) -> None:
    frames: list[Any] = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue", "lime")]
    lossless = {"lossless": True} if format_ == "WEBP" else {}
    data = encode(frames[0], format_, save_all=True, append_images=frames[1:], **lossless)
    assert worst(data, np.array([1, 0, 0])) < 4
