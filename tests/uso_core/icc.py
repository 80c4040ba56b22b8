"""A small colour profile, so that the tests do not depend on the system's."""

from __future__ import annotations

import itertools
import struct


def grey_cmyk_profile() -> bytes:
    """Return an ICC profile in which every CMYK ink is grey: converted pixels have R = G = B."""
    corners = itertools.product((0, 1), repeat=4)  # all combinations of the four inks
    lightness = [255 if not any(inks) else 255 - 60 * sum(inks) for inks in corners]
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity
    table += bytes(range(256)) * 4
    table += b"".join(bytes([level, 128, 128]) for level in lightness)  # Lab, a and b neutral
    table += bytes(range(256)) * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    header = struct.pack(">I4sI", 144 + len(table), bytes(4), 0x02100000) + b"prtrCMYKLab "
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header + bytes(128 - len(header)) + tags + table
