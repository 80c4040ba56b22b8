"""Profiles and chunks that state a colour space, and the colours that sRGB then shows."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.fetch.colour.profiles import ADOBE_RGB, RgbSpace, profile_of, space_of_code_points

Array = npt.NDArray[np.float64]

# Inside the gamut of sRGB, so that nothing is clipped.
LEVELS = np.array(
    [[[200, 120, 90], [60, 160, 120], [128, 128, 128], [250, 240, 230], [90, 80, 140], [0, 0, 0]]],
    np.uint8,
)


class Space(NamedTuple):
    """A space, and the published matrix from its light to that of sRGB."""

    profile: bytes
    matrix: list[list[float]]
    gamma: float | None


def _display_p3() -> RgbSpace:
    space = space_of_code_points(12, 13)
    assert space is not None
    return space


_PROPHOTO = RgbSpace(
    ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585), (1.8,)
)
SPACES = {
    "Display P3": Space(
        profile_of(_display_p3()),
        [[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]],
        None,
    ),
    "Adobe RGB": Space(
        profile_of(ADOBE_RGB),
        [[1.3982, -0.3982, 0], [0, 1, 0], [0, -0.0429, 1.0429]],
        563 / 256,
    ),
    "ProPhoto": Space(
        profile_of(_PROPHOTO),
        [[2.0340, -0.7273, -0.3067], [-0.2288, 1.2317, -0.0029], [-0.0086, -0.1533, 1.1619]],
        1.8,
    ),
}


def in_srgb(levels: npt.NDArray[np.uint8], space: Space) -> Array:
    """Return the levels, 0 to 255, that sRGB shows for those of a space."""
    values = levels / 255
    light = _srgb_light(values) if space.gamma is None else values**space.gamma
    mixed = (light @ np.array(space.matrix).T).clip(0, 1)
    low, high = 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055
    shown: Array = np.where(mixed <= 0.0031308, low, high) * 255
    return shown


def grey_profile(gamma: float) -> bytes:
    """Return an ICC profile (version 2) of grey with a power law."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", 156, 20, b"kTRC", 176, 16)
    head = struct.pack(">I4sI4s4s4s", 192, b"\0" * 4, 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + tags + white + curve


def with_cicp(profile: bytes, primaries: int, curve: int) -> bytes:
    """Return a profile with one more tag, `cicp`."""
    count = struct.unpack(">I", profile[128:132])[0]
    table = bytearray(profile[132 : 132 + 12 * count])
    for at in range(4, len(table), 12):
        table[at : at + 4] = struct.pack(">I", struct.unpack(">I", table[at : at + 4])[0] + 12)
    body = profile[132 + 12 * count :]
    tag = b"cicp" + struct.pack(">II", 144 + 12 * count + len(body), 12)
    content = b"cicp\0\0\0\0" + bytes([primaries, curve, 0, 1])
    whole = profile[:128] + struct.pack(">I", count + 1) + bytes(table) + tag + body + content
    return struct.pack(">I", len(whole)) + whole[4:]


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    whole = kind + content
    return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Return a PNG file with more chunks after its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def _srgb_light(values: Array) -> Array:
    light: Array = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return light
