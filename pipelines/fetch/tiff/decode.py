"""Decodes TIFF by its tags: through Pillow, through our own numbers, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipelines.fetch.plain_images import upright
from pipelines.fetch.structure import check_scans
from pipelines.fetch.tiff import tags
from pipelines.fetch.tiff.lab import lab_to_srgb, other_white
from pipelines.fetch.tiff.layout import (
    ASSOCIATED,
    BLACK_IS_ZERO,
    CMYK,
    COMPRESSIONS,
    JPEG,
    LAB,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    YCBCR,
    Layout,
    main_image,
    read_layout,
    unsupported,
)
from pipelines.fetch.tiff.rewriting import as_it_is, load
from pipelines.fetch.tiff.samples import RawSamples, row_bytes
from pipelines.fetch.tiff.tags import DamagedTiffError, TiffBytes
from uso_core.model.levels import FloatRange, Levels, UnclearRangeError, float_levels

MAX_CHUNKS = 100_000
MAX_SHARED_BYTES = 16 * 2**20
_MOST_SHARED = 2  # times the size of the file
_UNSIGNED, _FLOAT = 1, 3
_RATIONAL = 5
_FULL_RANGE = [0, 255, 128, 255, 128, 255]
_BT_601 = [0.299, 0.587, 0.114]
_ToLevels = Callable[[npt.NDArray[Any]], Levels]
_LOSSLESS = (1, 5, 8, 32773, 32946, 34925, 50000)
_CCITT = (2, 3, 4)
_SCALED = (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
_MODES = {CMYK: "CMYK", YCBCR: "YCbCr", LAB: "LAB"}


class CheckPixels(Protocol):
    """Checks the size of an image, in pixels."""

    def __call__(self, width: int, height: int, bytes_per_pixel: int = 8) -> None:
        """Raise an error if it is too large."""


def decode_tiff(data: bytes, check_pixels: CheckPixels) -> Image.Image:
    """Decode the picture of a TIFF file.

    Args:
        data: the file.
        check_pixels: checks the size of the image before it is decoded.

    Returns:
        A loaded image, upright, of a mode with 8 bits, or I;16 for grey of 16 bits.

    Raises:
        UnsupportedImageError: its pixels are of a kind that is not decoded.
        ValueError: the file is damaged.
        OSError: the file is damaged.
    """
    file = TiffBytes(data)
    layout = read_layout(main_image(file))
    check_pixels(layout.width, layout.height)
    if layout.is_unclear:
        raise unsupported(f"{layout.kind}, whose meaning no tag states,")
    _check_chunks(file, layout, check_pixels)
    if _is_pillows(layout):
        image = load(as_it_is(file, layout))
    elif _is_ours(layout):
        _check_size(layout, check_pixels)
        image = _from_samples(file, layout)
    else:
        raise unsupported(layout.kind)
    image = upright(image, layout.orientation)
    image.info.clear()
    profile = layout.tags.stored(tags.ICC_PROFILE)[2]
    if profile:
        image.info["icc_profile"] = profile
    return image


def _check_chunks(file: TiffBytes, layout: Layout, check_pixels: CheckPixels) -> None:
    wide, high = layout.chunk
    if wide <= 0 or high <= 0:
        raise DamagedTiffError(f"its tiles are {wide}x{high}")
    check_pixels(wide, high, -(-row_bytes(layout) // wide))
    if len(layout.offsets) > MAX_CHUNKS:
        raise unsupported(f"{len(layout.offsets):,} strips or tiles, more than {MAX_CHUNKS:,}")
    if sum(layout.counts) > _MOST_SHARED * len(file.data) + MAX_SHARED_BYTES:
        raise unsupported("strips or tiles that share most of their bytes")
    if layout.compression == JPEG:
        for at, count in zip(layout.offsets, layout.counts, strict=False):
            check_scans(file.data[at : at + count])
    ends = map(sum, zip(layout.offsets, layout.counts, strict=False))
    if not layout.offsets or min(layout.offsets) < 8 or max(ends, default=0) > len(file.data):
        raise DamagedTiffError("a strip or tile is outside the file")


def _check_size(layout: Layout, check_pixels: CheckPixels) -> None:
    """Check the memory of the samples, with the padding of the last tiles of each row."""
    planes = layout.samples if layout.separate else 1
    across = -(-layout.width // layout.chunk[0])
    row = row_bytes(layout) * across * planes
    check_pixels(layout.width, layout.height, -(-row // layout.width))


def _is_pillows(layout: Layout) -> bool:
    """Return True for the kinds that Pillow reads right, as tests hold it."""
    if layout.number != _UNSIGNED or layout.compression not in COMPRESSIONS:
        return False
    if layout.compression == JPEG:
        return layout.bits == 8 and _is_known_jpeg(layout)
    if layout.compression in _CCITT:
        return layout.bits == 1 and layout.samples == 1
    if layout.compression not in _LOSSLESS or layout.fill_order != 1:
        return False
    return _PILLOWS.get((layout.photometric, layout.bits), _never)(layout)


def _is_known_jpeg(layout: Layout) -> bool:
    if layout.separate:
        return layout.photometric == RGB and not layout.extra
    return layout.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR, CMYK)


def _never(_: Layout) -> bool:
    return False


def _alone(layout: Layout) -> bool:
    return layout.samples == 1


def _contiguous(layout: Layout) -> bool:
    return not layout.separate and len(layout.extra) <= 1


_PILLOWS: dict[tuple[int, int], Callable[[Layout], bool]] = {
    **{(WHITE_IS_ZERO, bits): _alone for bits in (1, 2, 4, 8)},
    **{(BLACK_IS_ZERO, bits): _alone for bits in (1, 2, 4, 8, 16)},
    (RGB, 8): lambda layout: _contiguous(layout) or not layout.extra,
    (RGB, 16): _contiguous,
    (CMYK, 8): lambda layout: not layout.separate and not layout.extra and _is_process_ink(layout),
    (LAB, 8): lambda layout: not layout.separate and not layout.extra and not other_white(layout),
}


def _is_process_ink(layout: Layout) -> bool:
    return layout.colours == 4 and layout.tags.value(tags.INK_SET, 1) == 1


def _is_ours(layout: Layout) -> bool:
    if layout.compression not in _LOSSLESS:
        return False
    if layout.number == _FLOAT:
        known = layout.bits in (16, 32, 64) and layout.photometric in _SCALED
        return known and layout.predictor in (1, 2, 3)
    summed = layout.predictor == 2 and layout.bits in (8, 16)
    if layout.number != _UNSIGNED or not (summed or layout.predictor == 1):
        return False
    return _is_our_colour(layout)


def _is_our_colour(layout: Layout) -> bool:
    if layout.photometric in (*_SCALED, PALETTE):
        return 1 <= layout.bits <= 16
    if layout.photometric == CMYK:
        return layout.bits in (8, 16) and _is_process_ink(layout)
    if layout.photometric == YCBCR:
        plain = layout.tags.values(tags.YCBCR_SUBSAMPLING) == (1, 1)
        return plain and layout.bits == 8 and _is_as_in_jpeg(layout)
    return layout.photometric == LAB and layout.bits in (8, 16)


def _is_as_in_jpeg(layout: Layout) -> bool:
    """Return True if YCbCr has the range and the weights that it has in JPEG."""
    in_range = _rationals(layout, tags.REFERENCE_BLACK_WHITE) in ([], _FULL_RANGE)
    weights = _rationals(layout, tags.YCBCR_COEFFICIENTS) or _BT_601
    return in_range and len(weights) == 3 and np.allclose(weights, _BT_601, atol=0.001)


def _rationals(layout: Layout, tag: int) -> list[float]:
    """Return the fractions of a tag; NaN for 0/0, and if they are stored as other numbers."""
    kind, count, stored = layout.tags.stored(tag)
    if count and kind != _RATIONAL:
        return [float("nan")]
    over, under = np.frombuffer(stored, f"{layout.order}u4").reshape(-1, 2).T.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: list[float] = (over / under).tolist()
    return found


def _from_samples(file: TiffBytes, layout: Layout) -> Image.Image:
    levels = _all_levels(RawSamples(file, layout), layout)  # the samples are freed here
    if layout.photometric == WHITE_IS_ZERO:
        np.subtract(255, levels[..., 0], out=levels[..., 0])
    if layout.photometric in _MODES and not other_white(layout):
        mode, height, width = _MODES[layout.photometric], *levels.shape[:2]
        return Image.frombytes(mode, (width, height), levels.tobytes())
    return Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def _all_levels(raw: RawSamples, layout: Layout) -> Levels:
    to_levels, top = _converter(raw, layout), 0
    levels: Levels = np.empty((layout.height, layout.width, 0), np.uint8)
    for block in raw.blocks():
        found = to_levels(block)
        if not top:
            levels = np.empty((layout.height, *found.shape[1:]), np.uint8)
        levels[top : top + len(found)] = found
        top += len(found)
    return levels


def _converter(raw: RawSamples, layout: Layout) -> _ToLevels:
    """Return the function from a block of samples to levels with one alpha channel, or none."""
    if layout.photometric == PALETTE:
        palette = _palette(layout)
        return lambda block: palette[block[..., 0]]
    unlike_d50 = other_white(layout)
    if unlike_d50 is not None:
        return partial(lab_to_srgb, bits=layout.bits, white=unlike_d50)
    if layout.photometric == LAB:
        shift = layout.bits - 8
        # Both 8-bit signs are as in the file: Pillow adds 128 to a and b itself.
        return lambda block: (block[..., :3] >> shift).astype(np.uint8)
    has_alpha = layout.alpha is not None and layout.photometric in _SCALED
    used = layout.colours + has_alpha
    if layout.number != _FLOAT:
        highest = np.float32((1 << layout.bits) - 1)
        if layout.alpha != ASSOCIATED:
            table = float_levels(np.arange(1 << layout.bits) / highest, 1)
            return lambda block: table[block[..., :used]]
        return lambda block: _levels(block[..., :used] / highest, layout)
    found = FloatRange()
    for block in raw.blocks():
        found.add(block[..., : layout.colours])
    try:
        white = found.white()
    except UnclearRangeError as error:
        raise unsupported(str(error)) from error
    return lambda block: _levels(block[..., :used] / white, layout)


def _levels(values: npt.NDArray[Any], layout: Layout) -> Levels:
    """Return levels of values from 0 to 1; colours are divided by an associated alpha."""
    if layout.alpha == ASSOCIATED and values.shape[-1] > layout.colours:
        alpha = values[..., -1:]
        colours = np.divide(
            values[..., :-1], alpha, out=np.zeros_like(values[..., :-1]), where=alpha > 0
        )
        values = np.concatenate([colours, alpha], axis=-1)
    return float_levels(values, 1)


def _palette(layout: Layout) -> Levels:
    """Return `[entries, 3]`. Some writers store levels up to 255, not 65535, as libtiff knows."""
    entries = np.array(layout.tags.values(tags.COLOR_MAP), dtype=np.int64)
    if len(entries) != 3 << layout.bits:
        raise DamagedTiffError(f"its palette has {len(entries)} values, not {3 << layout.bits}")
    levels = entries >> 8 if entries.max() > 255 else entries
    return np.ascontiguousarray(levels.reshape(3, -1).T.clip(0, 255), dtype=np.uint8)
