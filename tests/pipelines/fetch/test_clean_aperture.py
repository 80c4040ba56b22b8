"""AVIF files with a crop (property `clap`), which libavif leaves to its callers."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import ExifTags, Image

from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image
from tests.pipelines.pictures import encode, picture

WIDTH, HEIGHT = 96, 64


def with_crop(data: bytes, *numbers: int) -> bytes:
    """An AVIF file of Pillow's, with one more property of its only image."""
    crop = struct.pack(">I4s8i", 40, b"clap", *numbers)
    listed, used = data.index(b"ipco") - 4, data.index(b"ipma") - 4
    ipco = data[listed : listed + int.from_bytes(data[listed : listed + 4], "big")]
    ipma = data[used : used + int.from_bytes(data[used : used + 4], "big")]
    count = ipma[18]  # of the properties of the first of the images
    index = sum(1 for _ in properties(ipco)) + 1
    new_ipma = longer(ipma[:18] + bytes([count + 1]) + ipma[19:] + bytes([0x80 | index]), 1)
    out = data.replace(ipco, longer(ipco + crop, 40)).replace(ipma, new_ipma)
    for box in (b"meta", b"iprp"):
        at = out.index(box) - 4
        out = out[:at] + longer(out[at:], 41)
    pixels = struct.pack(">I", data.index(b"mdat") + 4)
    assert out.count(pixels) == 1
    return out.replace(pixels, struct.pack(">I", data.index(b"mdat") + 4 + 41))


def longer(box: bytes, by: int) -> bytes:
    return struct.pack(">I", int.from_bytes(box[:4], "big") + by) + box[4:]


def properties(ipco: bytes) -> list[bytes]:
    found, at = [], 8
    while at < len(ipco):
        size = int.from_bytes(ipco[at : at + 4], "big")
        found.append(ipco[at : at + size])
        at += size
    return found


def decode(data: bytes, *, exif_rotate: bool = True) -> Image.Image:
    return decode_image(Fetched(data), "/a.avif", max_megapixels=1, exif_rotate=exif_rotate)


@pytest.mark.parametrize(
    ("numbers", "box"),
    [
        ((40, 1, 20, 1, 0, 1, 0, 1), (28, 22, 68, 42)),
        ((40, 1, 20, 1, -28, 1, 22, 1), (0, 44, 40, 64)),
        ((80, 2, 60, 3, 3, 1, -8, 4), (31, 20, 71, 40)),
    ],
)
def test_the_part_to_show_is_taken(numbers: tuple[int, ...], box: tuple[int, ...]) -> None:
    plain = encode(picture(WIDTH, HEIGHT), "AVIF", quality=100)
    whole, part = decode(plain), decode(with_crop(plain, *numbers))
    assert (np.asarray(part) == np.asarray(whole)[box[1] : box[3], box[0] : box[2]]).all()


def test_it_is_cropped_before_it_is_turned() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    plain = encode(picture(WIDTH, HEIGHT), "AVIF", quality=100, exif=exif)
    assert decode(plain).size == (HEIGHT, WIDTH)
    assert decode(with_crop(plain, 40, 1, 20, 1, 0, 1, 0, 1)).size == (20, 40)


@pytest.mark.parametrize(
    "numbers",
    [(98, 1, 20, 1, 0, 1, 0, 1), (40, 0, 20, 1, 0, 1, 0, 1), (40, 1, 20, 1, 60, 1, 0, 1)],
)
def test_a_part_outside_the_image_is_ignored(numbers: tuple[int, ...]) -> None:
    plain = encode(picture(WIDTH, HEIGHT), "AVIF", quality=100)
    assert decode(with_crop(plain, *numbers)).size == (WIDTH, HEIGHT)
