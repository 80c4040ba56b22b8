"""Writes ICC profiles of RGB spaces that files state as numbers, for littlecms to convert from.

Numbers are those of ITU-T H.273 ("CICP"), of PNG's gAMA and cHRM, and of Adobe RGB (1998).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_D65 = (0.3127, 0.3290)
_D50_XYZ = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

Curve = tuple[float, ...]
"""The exponent of a power law, or the five numbers of ICC's parametric curve of type 3."""
Xy = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RgbSpace:
    """An RGB space.

    Attributes:
        primaries: the chromaticities x, y of red, green and blue.
        white: the chromaticity of white.
        curve: from levels to light.
    """

    primaries: tuple[Xy, Xy, Xy]
    white: Xy = _D65
    curve: Curve = _SRGB_CURVE


_PRIMARIES: dict[int, tuple[tuple[Xy, Xy, Xy], Xy]] = {
    1: (((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), _D65),
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), (0.310, 0.316)),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), _D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), _D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), _D65),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), _D65),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.314, 0.351)),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), _D65),
}
_UNSPECIFIED = 2
# The curves of television (1, 6, 14, 15) are for cameras; screens show such images as sRGB.
_CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 13, 14, 15, _UNSPECIFIED), _SRGB_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
}
HDR_CURVES = {16: "PQ", 18: "HLG"}

SRGB = RgbSpace(_PRIMARIES[1][0])
ADOBE_RGB = RgbSpace(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), curve=(563 / 256,))


def space_of_code_points(primaries: int, curve: int) -> RgbSpace | None:
    """Return the space of two code points of H.273; None if one is not known."""
    known = _PRIMARIES.get(1 if primaries == _UNSPECIFIED else primaries)
    if known is None or curve not in _CURVES:
        return None
    return RgbSpace(known[0], known[1], _CURVES[curve])


def profile_of(space: RgbSpace) -> bytes:
    """Return an ICC profile (version 4, matrix and curves) of an RGB space.

    Raises:
        ValueError: the chromaticities are not those of a space.
    """
    try:
        columns = matrix_to_d50(space).T
    except np.linalg.LinAlgError as error:
        raise ValueError("the chromaticities of its primaries are on a line") from error
    curve = _parametric(space.curve)
    tags = [
        (b"wtpt", _xyz(_D50_XYZ)),
        *((name, _xyz(tuple(xyz))) for name, xyz in zip(_COLUMNS, columns, strict=True)),
        *((name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")),
    ]
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", 0, b"\0" * 4, 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    header = header.ljust(36, b"\0") + b"acsp" + b"\0" * 28 + _xyz(_D50_XYZ)[8:]
    whole = header.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


_COLUMNS = (b"rXYZ", b"gXYZ", b"bXYZ")


def matrix_to_d50(space: RgbSpace) -> npt.NDArray[np.float64]:
    """Return the matrix from light to XYZ under D50, adapted by Bradford.

    Raises:
        ValueError: the chromaticities are not those of a space.
    """
    if any(y <= 0 for _, y in (*space.primaries, space.white)):
        raise ValueError("a chromaticity of its primaries is not above 0")
    primaries = np.array([xyz_of(xy) for xy in space.primaries]).T
    white = xyz_of(space.white)
    matrix = primaries * np.linalg.solve(primaries, white)
    adapted: npt.NDArray[np.float64] = adaptation_to_d50(white) @ matrix
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 16:
        raise ValueError("the chromaticities of its primaries are not those of a space")
    return adapted


def adaptation_to_d50(white: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the matrix from XYZ under a white, itself in XYZ, to XYZ under D50, by Bradford."""
    gains = (_BRADFORD @ np.array(_D50_XYZ)) / (_BRADFORD @ white)
    matrix: npt.NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD
    return matrix


def xyz_of(xy: Xy) -> npt.NDArray[np.float64]:
    """Return X, Y and Z of a chromaticity, with a Y of 1."""
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_fixed(value) for value in values)


def _parametric(curve: Curve) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return struct.pack(">4sIHH", b"para", 0, kind, 0) + b"".join(map(_fixed, curve))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
