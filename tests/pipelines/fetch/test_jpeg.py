"""The coded pixels of a plain JPEG are found, and of no other file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.fetch.fetched import Fetched
from pipelines.fetch.jpeg import coded_pixels
from pipelines.fetch.structure import MAX_JPEG_HEADER_BYTES, MAX_JPEG_SEGMENTS
from tests.pipelines.pictures import encode, picture

EOI = b"\xff\xd9"
PLAIN = encode(picture(), "JPEG")
FRAME, SCAN = PLAIN.index(b"\xff\xc0"), PLAIN.index(b"\xff\xda")
PIXELS = SCAN + 2 + int.from_bytes(PLAIN[SCAN + 2 : SCAN + 4], "big")


def found(data: bytes) -> tuple[int, int] | None:
    pixels = coded_pixels(data)
    return None if pixels is None else (pixels.start, pixels.stop)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_they_go_from_the_header_of_the_scan_to_the_end_marker(mode: str) -> None:
    data = encode(picture().convert(mode), "JPEG")
    scan = data.index(b"\xff\xda")
    length = int.from_bytes(data[scan + 2 : scan + 4], "big")
    assert found(data) == (scan + 2 + length, len(data) - 2)
    assert found(data + b"more\xff\xd8\xff") == found(data)


def test_stuffed_bytes_and_restarts_belong_to_them() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    stream = io.BytesIO()
    noise.save(stream, "JPEG", quality=95, restart_marker_blocks=1)
    data = stream.getvalue()
    assert data.count(b"\xff\0") > 9
    assert data.count(b"\xff\xd7") > 0
    assert coded_pixels(data) == slice(found(data)[0], len(data) - 2)  # type: ignore[index]


def test_only_they_are_left_out() -> None:
    whole = Fetched(PLAIN + b"more")
    assert whole.is_plain_jpeg
    assert whole.without_pixels == PLAIN[:PIXELS] + EOI + b"more"
    cut = Fetched(PLAIN[:-2])
    assert not cut.is_plain_jpeg
    assert cut.without_pixels is cut.data


def put(at: int, new: bytes, old: int = 0) -> bytes:
    return PLAIN[:at] + new + PLAIN[at + old :]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode(picture(), "PNG"),
        encode(picture(), "JPEG", progressive=True),
        PLAIN[:FRAME],
        PLAIN[: SCAN + 5],
        PLAIN[:-1],
        PLAIN[:-2],
        PLAIN[:-2] + PLAIN[SCAN:],
        put(PIXELS + 9, b"\xff\xc4"),
        put(PIXELS + 9, b"\xff\xff"),
        put(PIXELS + 9, b"\xff\x01"),
        put(FRAME, b"junk"),
        put(FRAME, b"\xff"),
        put(FRAME, b"\xff\xe1\0\0"),
        put(FRAME, b"\xff\x01"),
        put(FRAME, PLAIN[FRAME:SCAN]),
        put(FRAME + 1, b"\xc1", 1),
        put(FRAME + 1, b"\xc9", 1),
        put(FRAME + 4, b"\x0c", 1),
        put(FRAME + 9, b"\2", 1),
        put(SCAN + 4, b"\1", 1),
        put(PIXELS - 2, b"\x05", 1),
        put(2, b"\xff\xfe\0\2" * MAX_JPEG_SEGMENTS),
        put(2, (b"\xff\xec\xff\xff" + bytes(65533)) * (MAX_JPEG_HEADER_BYTES // 65537 + 1)),
    ],
    ids=[
        *("empty", "png", "progressive", "no-frame", "half-scan-header", "half-end", "no-end"),
        *("two-scans", "segment-in-pixels", "fill-in-pixels", "odd-marker-in-pixels"),
        *("junk", "fill", "no-length", "odd-marker", "two-frames", "extended", "arithmetic"),
        *("12-bits", "2-channels", "scan-of-one-channel", "part-of-a-block"),
        *("segments", "header-bytes"),
    ],
)
def test_other_files_are_left_to_the_decoder(data: bytes) -> None:
    assert found(data) is None
