"""TIFF files of many kinds, written by tifffile, with the levels that each must show."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tifffile

HEIGHT, WIDTH = 37, 53
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]
GREY = _X / (WIDTH - 1)
COLOURS = np.stack([GREY, _Y / (HEIGHT - 1), (_X + _Y) / (HEIGHT + WIDTH - 2)], axis=-1)
"""Red from left to right, green from top to bottom, blue in between, each from 0 to 1."""

Array = npt.NDArray[Any]


class Tiff(NamedTuple):
    """A file and the levels that its picture must have, 0 to 255, with or without colour."""

    name: str
    data: bytes
    levels: Array


def write(pixels: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **{"metadata": None, "software": False, **options})
    return buffer.getvalue()


def whole(values: Array, bits: int) -> Array:
    """Values from 0 to 1 as whole numbers of these bits."""
    numbers: Array = np.round(values * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)
    return numbers


def storages() -> Iterator[tuple[str, dict[str, Any]]]:
    """Ways to store pixels: each byte order, strips and tiles, packed and not."""
    for order in "<>":
        for compression in (None, "zlib", "lzw", "zstd", "lzma", "packbits"):
            for tile in (None, (16, 32)):
                for big in (False, True) if compression is None else (False,):
                    shape = f"{'tiles' if tile else 'strips'}{' big' if big else ''}"
                    options = {"byteorder": order, "compression": compression, "bigtiff": big}
                    pieces = {"tile": tile} if tile else {"rowsperstrip": 7}
                    yield f"{order} {compression} {shape}", {**options, **pieces}


def pixel_kinds(storage: dict[str, Any]) -> Iterator[Tiff]:
    """Every kind of pixels that is decoded, stored in one way."""
    for bits in (8, 16):
        yield from _of_bits(bits, storage)
    for bits, number in ((16, np.float16), (32, np.float32), (64, np.float64)):
        yield from _of_floats(f"float{bits}", number, storage)
    for top in (255, 65535):
        yield _palette(top, storage)


def _of_bits(bits: int, storage: dict[str, Any]) -> Iterator[Tiff]:
    grey, rgb, top = whole(GREY, bits), whole(COLOURS, bits), 2**bits - 1
    half = np.full_like(rgb[..., :1], top // 2)
    white = {**storage, "photometric": "miniswhite"}
    yield Tiff(f"grey{bits}", write(grey, photometric="minisblack", **storage), GREY)
    yield Tiff(f"white is zero {bits}", write(top - grey, **white), GREY)
    for predictor in _predictors(storage):
        for planes in ("contig", "separate"):
            options = {**storage, "planarconfig": planes, "predictor": predictor}
            name = f"{bits} {planes} {predictor}"
            colour = {**options, "photometric": "rgb"}
            yield Tiff(f"rgb{name}", write(_planes(rgb, planes), **colour), COLOURS)
            for extra in ("unspecified", "unassalpha"):
                more = np.concatenate([rgb, half], axis=-1)
                data = write(_planes(more, planes), extrasamples=(extra,), **colour)
                yield Tiff(f"rgb {extra}{name}", data, COLOURS)
            premultiplied = np.concatenate([rgb // 2, half], axis=-1)
            data = write(_planes(premultiplied, planes), extrasamples=("assocalpha",), **colour)
            yield Tiff(f"rgb premultiplied{name}", data, COLOURS)
            inks = np.concatenate([whole(1 - COLOURS, bits), np.zeros_like(half)], axis=-1)
            data = write(_planes(inks, planes), photometric="separated", **options)
            yield Tiff(f"cmyk{name}", data, COLOURS)


def _of_floats(name: str, number: Any, storage: dict[str, Any]) -> Iterator[Tiff]:
    for predictor in _predictors(storage):
        options = {**storage, "predictor": 3 if predictor else False}
        grey = {**options, "photometric": "minisblack"}
        yield Tiff(f"{name} {predictor}", write(GREY.astype(number), **grey), GREY)
        lights = GREY.copy()
        lights[3, 5] = 1000
        want = GREY.copy()
        want[3, 5] = 1
        yield Tiff(f"{name} one light {predictor}", write(lights.astype(number), **grey), want)
        for planes in ("contig", "separate"):
            rgb = {**options, "photometric": "rgb", "planarconfig": planes}
            pixels = _planes((COLOURS * 255).astype(number), planes)
            yield Tiff(f"{name} rgb {planes} {predictor}", write(pixels, **rgb), COLOURS)


def _palette(top: int, storage: dict[str, Any]) -> Tiff:
    ramp = np.arange(256)
    entries = np.stack([ramp, 255 - ramp, np.full(256, 77)]) * (top // 255)
    index = whole(GREY, 8)
    want = np.stack([index, 255 - index, np.full_like(index, 77)], axis=-1) / 255
    colours = {"photometric": "palette", "colormap": entries.astype(np.uint16)}
    return Tiff(f"palette of 0..{top}", write(index, **colours, **storage), want)


def _predictors(storage: dict[str, Any]) -> tuple[bool, ...]:
    return (False,) if storage["compression"] in (None, "packbits") else (False, True)


def _planes(pixels: Array, planes: str) -> Array:
    return pixels if planes == "contig" else np.moveaxis(pixels, -1, 0)
