"""Tags that other writers leave in TIFF files: the picture is what libtiff shows."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.pipelines.fetch.test_tiff import decode, failure, worst
from tests.pipelines.fetch.tiffs import COLOURS, GREY, HEIGHT, WIDTH, Array, whole
from tests.pipelines.fetch.tiffs import write as tiff

SOFTWARE, PREDICTOR, FILL_ORDER, WHITE_POINT = 305, 317, 266, 318


def tagged(pixels: Array, tag: int, value: int, **options: Any) -> bytes:
    """A file with a tag that tifffile does not write, in the place of its name."""
    data = bytearray(tiff(pixels, software="x", **options))
    (at,) = struct.unpack("<I", data[4:8])
    (count,) = struct.unpack("<H", data[at : at + 2])
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack("<H", data[entry : entry + 2]) == (SOFTWARE,):
            data[entry : entry + 12] = struct.pack("<HHIHH", tag, 3, 1, value, 0)
            return bytes(data)
    raise AssertionError("tifffile wrote no tag Software")


KINDS: dict[str, tuple[Array, dict[str, Any]]] = {
    "rgb8": (whole(COLOURS, 8), {"photometric": "rgb"}),
    "rgb16": (whole(COLOURS, 16), {"photometric": "rgb"}),
    "grey16": (whole(GREY, 16), {"photometric": "minisblack"}),
    "white is zero 16": (whole(1 - GREY, 16), {"photometric": "miniswhite"}),
    "planes16": (
        np.moveaxis(whole(COLOURS, 16), -1, 0),
        {"photometric": "rgb", "planarconfig": "separate"},
    ),
    "float": (COLOURS.astype(np.float32), {"photometric": "rgb"}),
    "12 bits": (whole(COLOURS, 12), {"photometric": "rgb", "bitspersample": 12}),
}


def wanted(pixels: Array) -> Array:
    return COLOURS if 3 in pixels.shape else GREY


@pytest.mark.parametrize("predictor", [2, 3])
@pytest.mark.parametrize("compression", [None, "packbits"])
def test_a_predictor_without_a_compression_that_has_one_is_ignored(
    compression: str | None, predictor: int
) -> None:
    for name, (pixels, options) in KINDS.items():
        if compression and "bitspersample" in options:
            continue  # tifffile packs these bits only plainly
        data = tagged(pixels, PREDICTOR, predictor, compression=compression, **options)
        assert worst(data, wanted(pixels)) < 1.01, name


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
def test_reversed_bits_are_read(compression: str | None) -> None:
    for name, (pixels, options) in KINDS.items():
        if compression and "bitspersample" in options:
            continue
        data = tagged(pixels, FILL_ORDER, 2, compression=compression, **options)
        assert worst(with_reversed_bits(data), wanted(pixels)) < 1.01, name


def with_reversed_bits(data: bytes) -> bytes:
    turned = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for at, size in zip(
            *(file.pages[0].dataoffsets, file.pages[0].databytecounts), strict=True
        ):
            strip = np.frombuffer(data, np.uint8, size, at)
            bits = np.unpackbits(strip, bitorder="little")
            turned[at : at + size] = np.packbits(bits, bitorder="big").tobytes()
    return bytes(turned)


def test_reversed_bits_mean_nothing_in_jpeg() -> None:
    inks = np.concatenate([whole(1 - COLOURS, 8), np.zeros((HEIGHT, WIDTH, 1), np.uint8)], axis=-1)
    jpeg = {"compression": "jpeg", "compressionargs": {"level": 97}}
    data = tagged(inks, FILL_ORDER, 2, photometric="separated", **jpeg)
    assert worst(data, COLOURS) < 12


def lab_of(white: tuple[float, float, float]) -> Array:
    """Lab of COLOURS under D65, or another white without adaptation, by the formulas of CIE."""
    linear = np.where(COLOURS > 0.04045, ((COLOURS + 0.055) / 1.055) ** 2.4, COLOURS / 12.92)
    to_xyz = [
        [0.412391, 0.357584, 0.180481],
        [0.212639, 0.715169, 0.072192],
        [0.019331, 0.119195, 0.950532],
    ]
    ratio = linear @ np.array(to_xyz).T / np.array(white)
    roots = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / 3 * (29 / 6) ** 2 + 4 / 29)
    x, y, z = np.moveaxis(roots, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "tolerance"), [(8, 12), (16, 1.5)])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_lab_is_read_by_its_white_point(
    order: str, bits: int, tolerance: float, planes: str
) -> None:
    light, *across = np.moveaxis(lab_of((0.950456, 1, 1.089058)), -1, 0)
    kind, scale = (np.uint8, 1) if bits == 8 else (np.uint16, 256)
    numbers = [light / 100 * (2**bits - 1), *(np.asarray(one) * scale for one in across)]
    planes_of = np.stack([one.round().astype(np.int32).astype(kind) for one in numbers])
    pixels = planes_of if planes == "separate" else np.moveaxis(planes_of, 0, -1)
    d65 = [(WHITE_POINT, 5, 2, (3127, 10000, 3290, 10000), True)]
    options = {"photometric": "cielab", "planarconfig": planes, "byteorder": order}
    assert worst(tiff(pixels, extratags=d65, **options), COLOURS) < tolerance
    d50 = [(WHITE_POINT, 5, 2, (3457, 10000, 3585, 10000), True)]
    plain = worst(tiff(pixels, **options), COLOURS)
    assert plain == worst(tiff(pixels, extratags=d50, **options), COLOURS) > 40


@pytest.mark.parametrize("alpha", ["unassalpha", "unspecified"])
def test_lab_with_alpha_is_read(alpha: str) -> None:
    neutral = np.stack([whole(GREY, 8), np.zeros((HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH))], -1)
    more = np.concatenate([neutral, np.full((HEIGHT, WIDTH, 1), 128)], axis=-1).astype(np.uint8)
    plain = tiff(neutral.astype(np.uint8), photometric="cielab")
    data = tiff(more, photometric="cielab", extrasamples=(alpha,), planarconfig="contig")
    assert worst(data, GREY) == worst(plain, GREY) < 80


def test_ycbcr_of_other_weights_or_range_is_unsupported() -> None:
    picture = Image.fromarray(whole(COLOURS, 8)).convert("YCbCr")
    options = {"photometric": "ycbcr", "subsampling": (1, 1)}

    def stored(tag: int, *numbers: int) -> bytes:
        tags = [(tag, 5, len(numbers) // 2, numbers, True)]
        return tiff(np.asarray(picture), extratags=tags, **options)

    for weights in ((299, 1000, 587, 1000, 114, 1000), (2990, 10000, 587, 1000, 57, 500)):
        assert worst(stored(529, *weights), np.asarray(picture.convert("RGB")) / 255) <= 1
    for numbers in ([2126, 10000, 7152, 10000, 722, 10000], [0] * 6, [1, 3, 1, 3]):
        assert failure(stored(529, *numbers))[0] == "image_unsupported"
    full = (0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1)
    assert decode(stored(532, *full)).size == (WIDTH, HEIGHT)
    limited = (16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1)
    assert failure(stored(532, *limited))[0] == "image_unsupported"


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_grey_with_several_unknown_samples_is_unsupported(kind: type, planes: str) -> None:
    pixels: Array = (COLOURS * (1 if kind is np.float32 else np.iinfo(kind).max)).astype(kind)
    pixels = pixels if planes == "contig" else np.moveaxis(pixels, -1, 0)
    code, message = failure(tiff(pixels, photometric="minisblack", planarconfig=planes))
    assert code == "image_unsupported"
    assert "grey pixels with 2 more samples" in message
    assert "whose meaning no tag states" in message


def test_grey_with_alpha_and_more_is_read() -> None:
    pixels = np.concatenate([whole(GREY, 8)[..., None], whole(COLOURS, 8)[..., :2]], axis=-1)
    extra = ("unassalpha", "unspecified")
    data = tiff(pixels, photometric="minisblack", extrasamples=extra, planarconfig="contig")
    assert worst(data, GREY) < 1.01


def test_a_tile_of_many_bytes_counts_like_a_picture() -> None:
    pixels = np.zeros((16, 16, 16), np.uint8)
    options = {"photometric": "rgb", "planarconfig": "contig", "compression": "zlib"}
    extra = ("unspecified",) * 13
    data = tiff(pixels, tile=(512, 512), extrasamples=extra, **options)
    tile = 512 * 512 / 1e6  # megapixels of 16 bytes
    assert worst(data, GREY[:16, :16] * 0) == 0
    code, message = failure(data, 1.9 * tile)
    assert code == "image_too_large"
    assert "512x512 with 16 bytes per pixel" in message
