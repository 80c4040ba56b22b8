"""Each bound on a file's structure: just under it the image is read, just over it is rejected."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.failures import RowFailedError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image
from pipelines.fetch.png import MAX_CHUNKS as MAX_PNG_CHUNKS
from pipelines.fetch.structure import (
    MAX_GIF_COMMENT_BYTES,
    MAX_JPEG_HEADER_BYTES,
    MAX_JPEG_SCANS,
    MAX_JPEG_SEGMENTS,
    MAX_RLE_PIXELS,
)
from pipelines.fetch.tiff.decode import MAX_CHUNKS as MAX_TIFF_CHUNKS
from pipelines.fetch.tiff.rewriting import with_tags
from pipelines.fetch.tiff.tags import MAX_ENTRIES, TiffBytes
from tests.pipelines.fetch.colours import chunk, with_chunks
from tests.pipelines.fetch.tiffs import write as tiff
from tests.pipelines.pictures import encode, picture


def decode(data: bytes, max_megapixels: float = 20) -> Image.Image:
    return decode_image(Fetched(data), "/a", max_megapixels=max_megapixels, exif_rotate=True)


def failure(data: bytes) -> tuple[str, str]:
    with pytest.raises(RowFailedError) as caught:
        decode(data)
    return caught.value.failure.code, caught.value.failure.message


def unsupported(data: bytes, reason: str) -> None:
    code, message = failure(data)
    assert (code, reason in message) == ("image_unsupported", True), message


def with_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan but one comes again and again."""
    data = encode(picture(), "JPEG", progressive=True)
    starts = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    *_, before, last = starts
    return data[:last] + data[before:last] * (scans - len(starts)) + data[last:]


def test_scans_of_a_jpeg() -> None:
    assert decode(with_scans(MAX_JPEG_SCANS)).size == (48, 32)
    unsupported(with_scans(MAX_JPEG_SCANS + 1), "JPEG with 101 scans is not supported")


def test_scans_of_a_thumbnail_and_of_later_images_do_not_count() -> None:
    data = encode(picture(), "JPEG")
    exif = b"Exif\0\0" + b"\xff\xda" * 200
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert decode(data[:2] + segment + data[2:] + b"\xff\xda" * 200).size == (48, 32)


def test_segments_of_a_jpeg() -> None:
    data = encode(picture(), "JPEG")
    own = data[: data.index(b"\xff\xda") + 2].count(b"\xff") - 1
    comments = b"\xff\xfe\0\4no" * (MAX_JPEG_SEGMENTS - own)
    assert decode(data[:2] + comments + data[2:]).size == (48, 32)
    more = comments + b"\xff\xfe\0\4no" * own
    unsupported(data[:2] + more + data[2:], "more than 2,000 segments of metadata")


def test_metadata_of_a_jpeg() -> None:
    data = encode(picture(), "JPEG")
    segment = b"\xff\xec\xff\xff" + bytes(65533)
    fitting = MAX_JPEG_HEADER_BYTES // len(segment) - 1
    assert decode(data[:2] + segment * fitting + data[2:]).size == (48, 32)
    unsupported(data[:2] + segment * (fitting + 2) + data[2:], "more than 32 MiB of metadata")


@pytest.mark.parametrize("bits", [12, 16])
def test_jpegs_of_more_bits_are_named(bits: int) -> None:
    data = encode(picture(), "JPEG")
    at = data.index(b"\xff\xc0") + 4
    deep = data[:at] + bytes([bits]) + data[at + 1 :]
    unsupported(deep, f"JPEG with {bits} bits per sample")
    unsupported(data.replace(b"\xff\xc0", b"\xff\xc5"), "hierarchical JPEG")


def test_jpegs_of_other_frames_and_channels_are_named() -> None:
    data = encode(picture(), "JPEG")
    at = data.index(b"\xff\xc0")
    unsupported(data[: at + 1] + b"\xf7" + data[at + 2 :], "JPEG-LS")
    unsupported(data[: at + 9] + b"\2" + data[at + 10 :], "JPEG with 2 channels")


def test_bmps_of_other_layouts_are_named() -> None:
    plain = bytearray(bmp(4, 2, 0, bytes(8)))
    plain[28:30] = (2).to_bytes(2, "little")
    unsupported(bytes(plain), "Unsupported BMP pixel depth (2); save it as PNG")
    masks = struct.pack("<III", 0xF00, 0x0F0, 0x00F)
    info = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 16, 3, 16, 0, 0, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 82, 0, 0, 66) + info + masks + bytes(16)
    unsupported(data, "Unsupported BMP bitfields layout; save it as PNG")


def test_comments_of_a_gif() -> None:
    data = encode(picture().convert("P"), "GIF")
    at = 13 + (3 << (data[10] & 7) + 1)

    def with_comments(size: int) -> bytes:
        blocks = b"".join(b"\xff" + bytes(255) for _ in range(size // 256))
        return data[:at] + b"!\xfe" + blocks + b"\0" + data[at:]

    most = MAX_GIF_COMMENT_BYTES - 512
    assert decode(with_comments(most)).tobytes() == decode(data).tobytes()
    unsupported(with_comments(most + 1024), "GIF with more than 4 MiB of comments")


def bmp(width: int, height: int, compression: int, pixels: bytes) -> bytes:
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256))
    at = 54 + len(palette)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(pixels), 0, 0, 0, 0
    )
    return b"BM" + struct.pack("<IHHI", at + len(pixels), 0, 0, at) + info + palette + pixels


def test_run_lengths_of_a_bmp() -> None:
    runs = b"\4\x10\0\0" + b"\2\x20\2\x30\0\0\0\1"
    levels = decode(bmp(4, 2, 1, runs)).convert("L").tobytes()
    assert levels == bytes([32, 32, 48, 48, *[16] * 4])
    height = MAX_RLE_PIXELS // 4000 + 1
    unsupported(
        bmp(4000, height, 1, runs), "BMP with run-length compression and over 16 megapixels"
    )
    unsupported(bmp(4, 2, 4, b""), "BMP with JPEG inside")


def test_chunks_of_a_png() -> None:
    data = encode(picture())
    empty = chunk(b"teSt", b"")
    own = 3  # IHDR, IDAT, and one to spare
    assert decode(with_chunks(data, empty * (MAX_PNG_CHUNKS - own))).size == (48, 32)
    unsupported(with_chunks(data, empty * MAX_PNG_CHUNKS), "PNG with more than 100,000 chunks")


def test_strips_of_a_tiff() -> None:
    pixel = tiff(np.zeros((1, 1), np.uint8), photometric="minisblack")

    def with_strips(count: int) -> bytes:
        size = {256: (1,), 257: (count,), 258: (8,), 259: (1,), 262: (1,), 277: (1,), 278: (1,)}
        return with_tags(TiffBytes(pixel), {**size, 273: (8,) * count, 279: (1,) * count})

    assert decode(with_strips(MAX_TIFF_CHUNKS)).size == (1, MAX_TIFF_CHUNKS)
    unsupported(with_strips(MAX_TIFF_CHUNKS + 1), "100,001 strips or tiles, more than 100,000")


def test_shared_bytes_of_a_tiff() -> None:
    plain = tiff(np.zeros((64, 1024), np.uint8), photometric="minisblack", compression="zlib")
    padded = plain + bytes(2**20)
    size = {256: (1024,), 257: (64,), 258: (8,), 259: (8,), 262: (1,), 277: (1,), 278: (1,)}

    def shared(bytes_each: int) -> bytes:
        places = {273: (8,) * 64, 279: (bytes_each,) * 64}
        return with_tags(TiffBytes(padded), {**size, **places})

    unsupported(shared(2**19), "strips or tiles that share most of their bytes")
    assert failure(shared(2**10))[0] == "image_corrupt"  # the bytes are not those of a strip


def test_scans_of_a_jpeg_in_a_tiff() -> None:
    for scans, fits in ((MAX_JPEG_SCANS - 1, True), (MAX_JPEG_SCANS + 1, False)):
        jpeg = with_scans(scans)
        size = {256: (48,), 257: (32,), 258: (8, 8, 8), 259: (7,), 262: (6,), 277: (3,), 278: (32,)}
        places = {273: (8,), 279: (len(jpeg),), 530: (2, 2)}
        data = with_tags(TiffBytes(b"II*\0\0\0\0\0" + jpeg), {**size, **places})
        if fits:
            assert decode(data).size == (48, 32)
        else:
            unsupported(data, "JPEG with 101 scans")


def test_tags_of_a_tiff() -> None:
    entries = b"".join(struct.pack("<HHII", 40_000 + n, 4, 1, 0) for n in range(MAX_ENTRIES + 1))
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", MAX_ENTRIES + 1) + entries + bytes(4)
    code, message = failure(data)
    assert (code, "a directory has 4,097 tags" in message) == ("image_corrupt", True)
    loop = b"II*\0\x08\0\0\0\0\0\x08\0\0\0"
    assert failure(loop)[0] == "image_corrupt"


_PEAKS = """
import sys
from pathlib import Path
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

for path in sorted(Path(sys.argv[1]).iterdir()):
    data = path.read_bytes()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    before = memory("VmRSS")
    image = decode_image(Fetched(data), "/a", max_megapixels=100, exif_rotate=True)
    pixels = image.width * image.height
    print(path.name, (memory("VmHWM") - before - 2 * len(data)) / pixels)
    del image
"""


def test_the_memory_of_decoding_is_bounded_per_pixel(tmp_path: Path) -> None:
    image = Image.linear_gradient("L").resize((2400, 1500)).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = np.zeros((3, 1500, 2400), np.uint16)
    files = {
        "jpeg": encode(image, "JPEG"),
        "progressive_turned": encode(image, "JPEG", progressive=True, exif=turned),
        "png": encode(image.convert("RGBA"), compress_level=1),
        "webp": encode(image, "WEBP", method=0),
        "gif": encode(image.convert("L"), "GIF"),
        "tiff16": tiff(deep, photometric="rgb", planarconfig="separate"),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", _PEAKS, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    peaks = {name: float(peak) for name, peak in map(str.split, ran.stdout.splitlines())}
    assert peaks.keys() == files.keys()
    assert {name: peak for name, peak in peaks.items() if peak > 17} == {}
