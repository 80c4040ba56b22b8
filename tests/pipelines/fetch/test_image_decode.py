from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps, features

from pipelines.failures import RowFailedError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.file_formats import FORMATS
from pipelines.fetch.image_decode import decode_image, prepare_pillow
from tests.pipelines.fetch.colours import chunk, with_chunks
from tests.pipelines.pictures import encode, picture

ENCODINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {}),
    "jpeg-progressive": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "webp-lossless": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff-jpeg": ("TIFF", {"compression": "jpeg"}),
}
if features.check("avif"):
    ENCODINGS["avif"] = ("AVIF", {})
FILES = {name: encode(picture(), fmt, **options) for name, (fmt, options) in ENCODINGS.items()}


@pytest.fixture(autouse=True)
def pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    prepare_pillow()


def decode(
    data: bytes,
    *,
    max_megapixels: float = 1,
    exif_rotate: bool = True,
    content_type: str | None = None,
) -> Image.Image:
    return decode_image(
        Fetched(data, content_type),
        "s3://bucket/a.bin",
        max_megapixels=max_megapixels,
        exif_rotate=exif_rotate,
    )


def code_of(data: bytes, **options: Any) -> str:
    with pytest.raises(RowFailedError) as caught:
        decode(data, **options)
    assert caught.value.failure.uri == "s3://bucket/a.bin"
    assert "s3://bucket/a.bin: " in caught.value.failure.message
    return caught.value.failure.code


def code_or_image(data: bytes) -> str | Image.Image:
    try:
        return decode(data)
    except RowFailedError as error:
        return error.failure.code


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_decoded_in_full(name: str) -> None:
    image = decode(FILES[name])
    with Image.open(io.BytesIO(FILES[name])) as want:
        assert (image.mode, image.size) == (want.mode, want.size)
        assert image.tobytes() == want.tobytes()
    assert type(image) is Image.Image


@pytest.mark.parametrize("name", FILES)
def test_truncated_files_are_corrupt_or_still_have_all_pixels(name: str) -> None:
    data = FILES[name]
    whole = decode(data).tobytes()
    ends = len(data) - 40
    for length in [*range(16, ends, max(1, ends // 60)), *range(ends, len(data))]:
        result = code_or_image(data[:length])
        if isinstance(result, Image.Image):
            assert result.tobytes() == whole, length
        else:
            assert result == "image_corrupt", length


@pytest.mark.parametrize("name", FILES)
def test_half_files_are_corrupt(name: str) -> None:
    assert code_of(FILES[name][: len(FILES[name]) // 2]) == "image_corrupt"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(FILES)),
    edits=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=4
    ),
    length=st.floats(0, 1),
)
def test_damaged_files_decode_or_fail_with_a_code(
    name: str, edits: list[tuple[float, bytes]], length: float
) -> None:
    data = bytearray(FILES[name])
    for where, new in edits:
        start = int(where * len(data))
        data[start : start + len(new)] = new
    result = code_or_image(bytes(data[: int(length * len(data))]))
    if isinstance(result, Image.Image):
        assert result.width * result.height <= 1e6
    else:
        assert result in ("image_corrupt", "image_unsupported", "image_too_large")


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_fail_with_a_code(data: bytes) -> None:
    assert code_of(data) in ("image_corrupt", "image_unsupported")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"<html><body>login</body></html>", "HTML"),
        (b"\xef\xbb\xbf\r\n<!doctype HTML>", "HTML"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"P6\n1 1\n255\nabc", "PNM"),
        (b"hello", "not a known image format"),
    ],
)
def test_other_formats_are_unsupported_and_named(data: bytes, found: str) -> None:
    with pytest.raises(RowFailedError) as caught:
        decode(data, content_type="image/jpeg")
    assert caught.value.failure.code == "image_unsupported"
    assert found in caught.value.failure.message
    assert "'image/jpeg'" in caught.value.failure.message


def test_decoders_outside_the_list_are_never_reached() -> None:
    # Pillow reads these by default; EPS by running Ghostscript.
    for fmt in ("PPM", "ICO", "TGA", "EPS", "PCX", "SGI", "IM", "JPEG2000"):
        assert fmt not in FORMATS
        assert code_of(encode(picture(), fmt)) == "image_unsupported", fmt


def png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(1001, 1000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_decompression_bombs_are_refused_from_the_header(size: tuple[int, int]) -> None:
    assert code_of(png_claiming(*size)) == "image_too_large"


def test_the_cap_is_ours_not_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    large = encode(Image.new("1", (2000, 1000)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500_000)  # Pillow allows twice that
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(large))
    prepare_pillow()
    assert code_of(large, max_megapixels=1.9) == "image_too_large"
    with pytest.raises(RowFailedError, match=r"max_megapixels\); make it smaller, or raise that"):
        decode(large, max_megapixels=1.9)
    assert decode(large, max_megapixels=2).size == (2000, 1000)


def test_compressed_text_bombs_are_never_unpacked() -> None:
    bomb = zlib.compress(bytes(80 * 2**20))
    text = chunk(b"zTXt", b"k\0\0" + bomb)
    exif = chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb)
    data = with_chunks(FILES["png"], text, exif)
    tracemalloc.start()
    decoded = decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert decoded.tobytes() == decode(FILES["png"]).tobytes()
    assert peak < 8 * 2**20


@pytest.mark.parametrize("size", [(1, 1), (30_000, 10), (10, 30_000)])
def test_odd_sizes_are_decoded(size: tuple[int, int]) -> None:
    assert decode(encode(Image.new("RGB", size), "PNG")).size == size


@pytest.mark.parametrize(
    ("mode", "fmt"),
    [
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("1", "PNG"),
        ("I;16", "PNG"),
        ("CMYK", "JPEG"),
    ],
)
def test_images_keep_their_mode(mode: str, fmt: str) -> None:
    image = (
        Image.new("I;16", (8, 8), 40_000) if mode == "I;16" else picture(mode="RGB").convert(mode)
    )
    decoded = decode(encode(image, fmt))
    assert decoded.mode == mode
    assert decoded.size == image.size


def test_palette_transparency_and_profiles_stay_in_info() -> None:
    palette = picture().quantize(16)
    assert decode(encode(palette, "PNG", transparency=3)).info["transparency"] == 3
    assert (
        decode(encode(picture(), "PNG", icc_profile=b"profile")).info["icc_profile"] == b"profile"
    )


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_taken(fmt: str) -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    options = {"lossless": True} if fmt == "WEBP" else {}
    data = encode(first, fmt, save_all=True, append_images=[second], **options)
    assert decode(data).convert("RGB").getpixel((4, 4)) == (255, 0, 0)


def test_phone_pictures_with_several_images_are_jpegs() -> None:
    data = encode(picture(seed=1), "MPO", save_all=True, append_images=[picture(seed=2)])
    assert decode(data).size == (48, 32)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", sorted({fmt for fmt, _ in ENCODINGS.values()} - {"GIF", "BMP"}))
def test_exif_orientation(fmt: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture(), fmt, exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        assert decode(data).tobytes() == ImageOps.exif_transpose(opened).tobytes()
    assert decode(data).size == ((32, 48) if orientation >= 5 else (48, 32))
    if fmt != "TIFF":
        assert decode(data, exif_rotate=False).size == (48, 32)


def test_broken_exif_does_not_matter() -> None:
    for exif in (
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0rubbish",
    ):
        assert decode(encode(picture(), "JPEG", exif=exif)).size == (48, 32)
