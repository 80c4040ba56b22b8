from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from pipelines.failures import RowFailedError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image
from tests.pipelines.fetch.tiffs import COLOURS, GREY, HEIGHT, WIDTH, pixel_kinds, storages, whole
from tests.pipelines.fetch.tiffs import write as tiff
from tests.pipelines.pictures import encode
from uso_core.model.images import to_rgb

RAW_HINT = "a camera's raw file"


def decode(data: bytes, max_megapixels: float = 1) -> Image.Image:
    return decode_image(Fetched(data), "/a.tif", max_megapixels=max_megapixels, exif_rotate=True)


def failure(data: bytes, max_megapixels: float = 1) -> tuple[str, str]:
    with pytest.raises(RowFailedError) as caught:
        decode(data, max_megapixels)
    return caught.value.failure.code, caught.value.failure.message


def worst(data: bytes, want: Any) -> float:
    """The largest difference between the picture that a row sees and levels from 0 to 1."""
    levels = np.asarray(to_rgb(decode(data))).astype(float)
    expected = np.broadcast_to(want if want.ndim == 3 else want[..., None], levels.shape) * 255
    return float(np.abs(levels - expected).max())


@pytest.mark.parametrize("storage", [pytest.param(how, id=name) for name, how in storages()])
def test_every_kind_of_pixels_shows_its_levels(storage: dict[str, Any]) -> None:
    for kind in pixel_kinds(storage):
        tolerance = 2.6 if "premultiplied" in kind.name else 1.01
        assert worst(kind.data, kind.levels) < tolerance, kind.name


@pytest.mark.parametrize("bits", [1, 2, 4, 10, 12, 14])
def test_packed_bits_are_scaled_to_white(bits: int) -> None:
    numbers = np.round(GREY * (2**bits - 1))
    pixels = numbers.astype(bool if bits == 1 else np.uint8 if bits < 8 else np.uint16)
    packed = {} if bits == 1 else {"bitspersample": bits}
    for photometric, want in (("minisblack", numbers), ("miniswhite", 2**bits - 1 - numbers)):
        data = tiff(pixels, photometric=photometric, **packed)
        assert worst(data, want / (2**bits - 1)) < 1.01, photometric


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_lab_is_converted(bits: int, planes: str) -> None:
    picture = Image.fromarray(whole(COLOURS, 8))
    to_lab = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    lab = ImageCms.profileToProfile(picture, *to_lab, outputMode="LAB")
    assert lab is not None
    levels = np.asarray(lab).astype(np.uint16)
    scale = np.array([257, 256, 256], np.uint16) if bits == 16 else 1
    pixels = (levels * scale).astype(np.uint16 if bits == 16 else np.uint8)
    pixels = pixels if planes == "contig" else np.moveaxis(pixels, -1, 0)
    data = tiff(pixels, photometric="cielab", planarconfig=planes)
    assert worst(data, np.asarray(to_rgb(lab)) / 255) <= 1


def test_ycbcr_is_read_if_every_pixel_has_its_own_colour() -> None:
    picture = Image.fromarray(whole(COLOURS, 8)).convert("YCbCr")
    pixels = np.asarray(picture)
    plain = tiff(pixels, photometric="ycbcr", subsampling=(1, 1))
    assert worst(plain, np.asarray(picture.convert("RGB")) / 255) <= 1
    code, message = failure(plain.replace(*_subsampled(plain)))
    assert (code, "8-bit YCbCr" in message) == ("image_unsupported", True)


def _subsampled(data: bytes) -> tuple[bytes, bytes]:
    tag = struct.pack("<HHIHH", 530, 3, 2, 1, 1)
    assert data.count(tag) == 1
    return tag, struct.pack("<HHIHH", 530, 3, 2, 2, 2)


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr", "minisblack", "miniswhite"])
def test_jpeg_inside_is_read(photometric: str) -> None:
    if photometric == "ycbcr":  # libtiff converts
        data = encode(Image.fromarray(whole(COLOURS, 8)), "TIFF", compression="jpeg", quality=97)
        assert worst(data, COLOURS) < 8
        return
    grey = GREY if photometric == "minisblack" else 1 - GREY
    pixels = COLOURS if photometric == "rgb" else grey
    jpeg = {"compression": "jpeg", "compressionargs": {"level": 97}}
    data = tiff(whole(pixels, 8), photometric=photometric, **jpeg)
    assert worst(data, COLOURS if photometric == "rgb" else GREY) < 8


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ("int8", "signed 8-bit grey pixels"),
        ("int16", "signed 16-bit grey pixels"),
        ("int32", "signed 32-bit grey pixels"),
        ("uint32", "32-bit grey pixels"),
        ("uint64", "64-bit grey pixels"),
        ("complex64", "complex 64-bit grey pixels"),
    ],
)
def test_numbers_without_a_known_white_are_unsupported(numbers: str, kind: str) -> None:
    code, message = failure(tiff((GREY * 100).astype(numbers), photometric="minisblack"))
    assert code == "image_unsupported"
    assert f"TIFF with {kind} is not supported; store it as RGB" in message


@pytest.mark.parametrize("compression", ["webp", "jpeg2000", "jpegxl", "lerc", "png"])
def test_other_compressions_are_unsupported_and_named(compression: str) -> None:
    code, message = failure(tiff(whole(COLOURS, 8), photometric="rgb", compression=compression))
    assert code == "image_unsupported"
    assert "8-bit RGB pixels, compressed as " in message


@pytest.mark.parametrize("top", [65_535, 1_023, 2.5])
def test_floats_of_an_unclear_range_are_unsupported(top: float) -> None:
    code, message = failure(tiff((GREY * top).astype(np.float32), photometric="minisblack"))
    assert code == "image_unsupported"
    assert f"float pixels from 0 to {top:.4g}" in message


def test_pixels_of_many_bytes_count_more() -> None:
    data = tiff(COLOURS, photometric="rgb")  # 24 bytes per pixel
    megapixels = WIDTH * HEIGHT / 1e6
    assert decode(data, 3.01 * megapixels).size == (WIDTH, HEIGHT)
    code, message = failure(data, 2.99 * megapixels)
    assert code == "image_too_large"
    assert f"the image is {WIDTH}x{HEIGHT} with 24 bytes per pixel, more than " in message
    assert failure(tiff(whole(COLOURS, 8), photometric="rgb"), 0.99 * megapixels)[0] == code


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_faxes_are_read(compression: str) -> None:
    page = Image.fromarray(GREY > 0.5)
    data = encode(page, "TIFF", compression=compression)
    assert worst(data, (GREY > 0.5).astype(float)) == 0


def test_the_first_page_is_taken() -> None:
    first, second = whole(COLOURS, 8), whole(1 - COLOURS, 8)
    assert worst(tiff(np.stack([first, second]), photometric="rgb"), COLOURS) < 1.01


def with_pages(*pages: tuple[Any, dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for pixels, options in pages:
            writer.write(pixels, metadata=None, software=False, **options)
    return buffer.getvalue()


PREVIEW = (np.zeros((12, 16, 3), np.uint8), {"photometric": "rgb", "subfiletype": 1})


def test_previews_are_passed_over() -> None:
    full = (whole(COLOURS, 8), {"photometric": "rgb"})
    assert worst(with_pages(PREVIEW, full), COLOURS) < 1.01
    before = (PREVIEW[0], {**PREVIEW[1], "subifds": 1})
    assert worst(with_pages(before, full), COLOURS) < 1.01
    unmarked = (PREVIEW[0], {"photometric": "rgb", "subifds": 1})
    assert worst(with_pages(unmarked, full), COLOURS) < 1.01
    pyramid = (full[0], {**full[1], "subifds": 1})
    assert worst(with_pages(pyramid, PREVIEW), COLOURS) < 1.01


@pytest.mark.parametrize("kind", [1, 4])
def test_a_preview_or_a_mask_alone_is_no_picture(kind: int) -> None:
    data = with_pages(PREVIEW)
    tag, patched = (struct.pack("<HHII", 254, 4, 1, value) for value in (1, kind))
    assert data.count(tag) == 1
    code, message = failure(data.replace(tag, patched))
    assert (code, "nothing but a preview" in message) == ("image_unsupported", True)


def test_previews_of_the_old_tag_are_passed_over() -> None:
    preview = (PREVIEW[0], {"photometric": "rgb", "extratags": [(255, 3, 1, 2, True)]})
    full = (whole(COLOURS, 8), {"photometric": "rgb", "extratags": [(255, 3, 1, 1, True)]})
    assert worst(with_pages(preview, full), COLOURS) < 1.01


@pytest.mark.parametrize("colours", ["cfa", "linear_raw"])
@pytest.mark.parametrize("marked", [0, 1])
def test_raw_files_are_not_drawn_from_their_preview(colours: str, marked: int) -> None:
    preview = (PREVIEW[0], {"photometric": "rgb", "subfiletype": marked, "subifds": 1})
    samples = COLOURS if colours == "linear_raw" else GREY
    sensor = (whole(samples, 16), {"photometric": colours})
    code, message = failure(with_pages(preview, sensor))
    assert (code, RAW_HINT in message) == ("image_unsupported", True)


@pytest.mark.parametrize(
    "data",
    [
        tiff(whole(COLOURS, 8), photometric="rgb", extratags=[(50706, 1, 4, (1, 4, 0, 0), True)]),
        b"II*\0\x10\0\0\0CR\x02\0" + bytes(100),  # one page without tags
        b"II*\0\x10\0\0\0IIIITwaR" + bytes(100),
        b"IIRO\x08\0\0\0",
        b"IIU\0\x08\0\0\0",
        b"FUJIFILMCCD-RAW 0201",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    ],
    ids=["DNG", "CR2", "IIQ", "ORF", "RW2", "RAF", "CR3"],
)
def test_raw_files_are_named(data: bytes) -> None:
    code, message = failure(data)
    assert (code, RAW_HINT in message) == ("image_unsupported", True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bits", [8, 16])
def test_pictures_are_turned_upright(orientation: int, bits: int) -> None:
    pixels = np.moveaxis(whole(COLOURS, bits), -1, 0)
    turned = [(274, 3, 1, orientation, True)]
    data = tiff(pixels, photometric="rgb", planarconfig="separate", extratags=turned)
    assert decode(data).size == ((HEIGHT, WIDTH) if orientation > 4 else (WIDTH, HEIGHT))
    plain = encode(Image.fromarray(whole(COLOURS, 8)), "TIFF", tiffinfo={274: orientation})
    difference = np.asarray(decode(data)).astype(int) - np.asarray(decode(plain))
    assert np.abs(difference).max() <= 1
