"""Data files of the page: scripts with compressed JSON, or with a compressed array of numbers.

A page on disk can load scripts and nothing else, so the bytes are in base64. The browser unpacks
them itself.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.tools.report.values import to_json

_LEVEL = 2  # 6 takes four times as long and saves 17 %
_MOST_DECIMALS = 6
_INTEGERS = (np.uint8, np.uint16, np.uint32)
_NAMES = {np.uint8: "Uint8", np.uint16: "Uint16", np.uint32: "Uint32", np.float64: "Float64"}


class DataFile(NamedTuple):
    """A data file.

    Attributes:
        name: its name, without extension.
        content: its content, not compressed yet.
        array: for an array, the facts that the page needs to read it.
    """

    name: str
    content: bytes
    array: dict[str, Any] | None = None

    def script(self) -> bytes:
        """Return the script that passes the content to the page."""
        packed = base64.b64encode(zlib.compress(self.content, _LEVEL)).decode()
        facts = "" if self.array is None else f",{to_json(self.array)}"
        return f'uso.unpack({to_json(self.name)},"{packed}"{facts});\n'.encode()


def json_file(name: str, values: object) -> DataFile:
    """Return a file with JSON values."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return DataFile(name, text.encode("utf-8", "surrogatepass"))


def codes_file(name: str, codes: npt.NDArray[np.integer[Any]]) -> DataFile:
    """Return a file with an array of whole numbers from 0, as small as they allow."""
    most = int(codes.max(initial=0))
    dtype = next(kind for kind in _INTEGERS if most <= np.iinfo(kind).max)
    return _array_file(name, codes.astype(dtype), {})


def numbers_file(name: str, numbers: npt.NDArray[np.float64]) -> DataFile:
    """Return a file with an array of numbers, NaN for none.

    Numbers with few decimals are written as whole ones: `whole / scale + least` gives the same
    numbers again, bit by bit.
    """
    present = ~np.isnan(numbers)
    some = numbers[present]
    for decimals in range(_MOST_DECIMALS + 1) if len(some) else ():
        scale = 10**decimals
        with np.errstate(over="ignore"):
            whole = np.rint(some * scale)
        if np.abs(whole).max() >= 2**52 or not np.array_equal(whole / scale, some):
            continue
        least = float(whole.min())
        span = whole.max() - least
        fitting = [kind for kind in _INTEGERS if span < np.iinfo(kind).max]
        if not fitting or np.any(np.signbit(some) & (some == 0)):
            break
        packed = np.full(len(numbers), np.iinfo(fitting[0]).max, fitting[0])
        packed[present] = (whole - least).astype(fitting[0])
        return _array_file(name, packed, {"least": least, "scale": scale})
    return _array_file(name, numbers.astype(np.float64), {})


def _array_file(name: str, values: npt.NDArray[Any], facts: dict[str, float | int]) -> DataFile:
    little = values.astype(values.dtype.newbyteorder("<"))
    return DataFile(name, little.tobytes(), {"type": _NAMES[values.dtype.type], **facts})
