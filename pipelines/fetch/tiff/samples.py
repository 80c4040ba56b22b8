"""The samples of a TIFF image as numbers, for kinds of pixels that Pillow does not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.fetch.tiff.layout import Layout
from pipelines.fetch.tiff.rewriting import as_bytes, load
from pipelines.fetch.tiff.tags import DamagedTiffError, TiffBytes

Samples = npt.NDArray[Any]

_FLOAT = 3
_ROWS = 256  # rows that are numbers at the same time


class RawSamples:
    """The unpacked bytes of an image, which become numbers some rows at a time.

    Memory: the bytes of all samples, and twice those of the file while one plane is unpacked.
    """

    def __init__(self, file: TiffBytes, layout: Layout) -> None:
        """Unpack the strips or tiles.

        Raises:
            DamagedTiffError: strips or tiles are missing.
            OSError: they are damaged.
        """
        self._layout = layout
        self._order = layout.order
        self._per_plane = 1 if layout.separate else layout.samples
        self._across = -(-layout.width // layout.chunk[0])
        self._row = self._across * row_bytes(layout)
        planes = layout.samples if layout.separate else 1
        chunks = self._across * -(-layout.height // layout.chunk[1])
        if len(layout.offsets) < planes * chunks:
            raise DamagedTiffError(
                f"it has {len(layout.offsets)} of {planes * chunks} strips or tiles"
            )
        self._planes = [
            load(as_bytes(file, layout, self._row, slice(plane * chunks, (plane + 1) * chunks)))
            for plane in range(planes)
        ]

    def blocks(self) -> Iterator[Samples]:
        """Yield `[rows, width, samples]`, from the top."""
        height = self._layout.height
        for top in range(0, height, _ROWS):
            box = (0, top, self._row, min(top + _ROWS, height))
            planes = [self._numbers(np.asarray(plane.crop(box))) for plane in self._planes]
            yield planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1)

    def _numbers(self, packed: npt.NDArray[np.uint8]) -> Samples:
        rows, layout = len(packed), self._layout
        wide = layout.chunk[0] * self._per_plane
        chunks = packed.reshape(rows, self._across, -1)
        if layout.predictor == _FLOAT:
            numbers = _summed_floats(chunks, self._per_plane, layout.bits)
        elif layout.bits % 8:
            numbers = _unpack_bits(chunks, layout.bits, wide)
        else:
            numbers = chunks.view(f"{self._order}u{layout.bits // 8}")
        numbers = numbers.reshape(rows, self._across, layout.chunk[0], self._per_plane)
        if layout.predictor == 2:
            numbers = np.cumsum(numbers, axis=2, dtype=numbers.dtype)
        if layout.number == _FLOAT:
            numbers = numbers.view(f"{numbers.dtype.byteorder}f{layout.bits // 8}")
        joined = numbers.reshape(rows, -1, self._per_plane)
        return joined[:, : layout.width]


def row_bytes(layout: Layout) -> int:
    """Return the bytes of one row of one strip or tile of one plane."""
    samples = layout.chunk[0] * (1 if layout.separate else layout.samples)
    return -(-samples * layout.bits // 8)


def _unpack_bits(chunks: npt.NDArray[np.uint8], bits: int, wide: int) -> Samples:
    """Return numbers of 1 to 15 bits, packed from the highest bit on, each row by itself."""
    groups = -(-wide // 8)  # of 8 numbers, in as many bytes as a number has bits
    used = groups * bits
    padded = np.zeros((*chunks.shape[:2], used + 2), np.uint32)
    padded[..., : chunks.shape[2]] = chunks[..., :used]
    numbers = np.empty((*chunks.shape[:2], groups * 8), np.uint16)
    for place in range(8):
        byte, bit = divmod(place * bits, 8)
        high, middle, low = (padded[..., byte + more : used + more : bits] for more in range(3))
        window = (high << 16) | (middle << 8) | low
        numbers[..., place::8] = (window >> (24 - bits - bit)) & ((1 << bits) - 1)
    return numbers[..., :wide]


def _summed_floats(chunks: npt.NDArray[np.uint8], step: int, bits: int) -> Samples:
    """Undo the predictor of floats: differences of bytes, the highest byte of all samples first."""
    rows, across, length = chunks.shape
    summed = np.cumsum(chunks.reshape(rows, across, length // step, step), axis=2, dtype=np.uint8)
    size = bits // 8
    planes = summed.reshape(rows, across, size, length // size)
    ordered = np.ascontiguousarray(planes.swapaxes(2, 3))
    return ordered.view(f">u{size}")
