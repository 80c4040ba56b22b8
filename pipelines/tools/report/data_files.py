"""Data files of the page: scripts with compressed JSON, or with a compressed array of numbers.

A page on disk can load scripts and nothing else, so the bytes are in base64. The browser unpacks
them itself.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.tools.report.values import to_json

_LEVEL = 2  # 6 takes four times as long and saves 17 %
_MOST_DECIMALS = 6
_INTEGERS = (np.uint8, np.uint16, np.uint32)
_NAMES = {np.uint8: "Uint8", np.uint16: "Uint16", np.uint32: "Uint32", np.float64: "Float64"}

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer[Any]]
Bytes = Callable[[], Iterator[bytes]]


class DataFile(NamedTuple):
    """A data file.

    Attributes:
        name: its name, without extension.
        content: returns its content in pieces, not compressed yet.
        array: for an array, the facts that the page needs to read it.
        memory: bytes that it holds until it is written.
    """

    name: str
    content: Bytes
    array: dict[str, Any] | None = None
    memory: int = 0

    def script(self) -> Iterator[bytes]:
        """Yield the script that passes the content to the page, in pieces."""
        yield f'uso.unpack({to_json(self.name)},"'.encode()
        yield from _in_base64(_compressed(self.content()))
        facts = "" if self.array is None else f",{to_json(self.array)}"
        yield f'"{facts});\n'.encode()


def bytes_file(name: str, content: bytes) -> DataFile:
    """Return a file with JSON that is written already."""
    return DataFile(name, lambda: iter((content,)), memory=len(content))


def json_file(name: str, values: object) -> DataFile:
    """Return a file with JSON values."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return bytes_file(name, text.encode("utf-8", "surrogatepass"))


def codes_file(name: str, codes: Callable[[], Iterator[Codes]]) -> DataFile:
    """Return a file with an array of whole numbers from 0, as small as they allow.

    Args:
        name: its name.
        codes: returns the numbers in pieces, each time it is called.
    """
    most = max((int(piece.max(initial=0)) for piece in codes()), default=0)
    dtype = next(kind for kind in _INTEGERS if most <= np.iinfo(kind).max)
    return _array_file(name, dtype, {}, lambda: (piece.astype(dtype) for piece in codes()))


def numbers_file(name: str, numbers: Callable[[], Iterator[Numbers]]) -> DataFile:
    """Return a file with an array of numbers, NaN for none.

    Numbers with few decimals are written as whole ones: `whole / scale + least` gives the same
    numbers again, bit by bit.

    Args:
        name: its name.
        numbers: returns the numbers in pieces, each time it is called.
    """
    whole = _whole(numbers)
    if whole is None:
        return _array_file(name, np.float64, {}, numbers)
    facts = {"least": whole.least, "scale": whole.scale}
    return _array_file(name, whole.kind, facts, lambda: map(whole.packed, numbers()))


def without_nan(numbers: Numbers) -> Numbers:
    """Return the numbers that are not NaN."""
    missing = np.isnan(numbers)
    return numbers[~missing] if missing.any() else numbers


class _Whole(NamedTuple):
    """A way to write numbers as whole ones."""

    kind: type[np.unsignedinteger[Any]]
    scale: int
    least: float

    def packed(self, numbers: Numbers) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return whole numbers in place of numbers, `[n]`; the highest one for NaN."""
        present = ~np.isnan(numbers)
        packed = np.full(len(numbers), np.iinfo(self.kind).max, self.kind)
        packed[present] = (np.rint(numbers[present] * self.scale) - self.least).astype(self.kind)
        return packed


def _whole(numbers: Callable[[], Iterator[Numbers]]) -> _Whole | None:
    """Return the way in the fewest bytes; None if there is none, or no number."""
    for decimals in range(_MOST_DECIMALS + 1):
        scale = 10**decimals
        ends = _whole_ends(numbers(), scale)
        if ends is None:
            continue
        fitting = [kind for kind in _INTEGERS if ends[1] - ends[0] < np.iinfo(kind).max]
        if not fitting or any(map(_has_negative_zero, numbers())):
            return None
        return _Whole(fitting[0], scale, ends[0])
    return None


def _whole_ends(pieces: Iterator[Numbers], scale: int) -> tuple[float, float] | None:
    """Return the ends of the numbers times `scale`; None if these are not whole and exact."""
    least, most = np.inf, -np.inf
    for numbers in map(without_nan, pieces):
        with np.errstate(over="ignore"):
            whole = np.rint(numbers * scale)
        if np.abs(whole).max(initial=0) >= 2**52 or not np.array_equal(whole / scale, numbers):
            return None
        least, most = float(whole.min(initial=least)), float(whole.max(initial=most))
    return None if least > most else (least, most)


def _has_negative_zero(numbers: Numbers) -> bool:
    return bool(np.any(np.signbit(numbers) & (numbers == 0)))


def _array_file(
    name: str,
    kind: type[np.generic],
    facts: dict[str, float],
    pieces: Callable[[], Iterator[npt.NDArray[Any]]],
) -> DataFile:
    little = np.dtype(kind).newbyteorder("<")
    content = partial(_bytes_of, pieces, little)
    return DataFile(name, content, {"type": _NAMES[kind], **facts})


def _bytes_of(
    pieces: Callable[[], Iterator[npt.NDArray[Any]]], dtype: np.dtype[Any]
) -> Iterator[bytes]:
    return (piece.astype(dtype, copy=False).tobytes() for piece in pieces())


def _compressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _in_base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        whole = left + piece
        end = len(whole) - len(whole) % 3  # three bytes are four letters
        yield base64.b64encode(whole[:end])
        left = whole[end:]
    yield base64.b64encode(left)
