from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipelines.failures import RowFailedError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image
from tests.pipelines.fetch.colours import LEVELS, SPACES, in_srgb
from tests.pipelines.pictures import encode
from uso_core.model.images import to_rgb

BLOCKS = Image.fromarray(np.kron(LEVELS, np.ones((32, 32, 1), np.uint8)))
RED, BLUE = Image.new("RGB", (64, 32), "red"), Image.new("RGB", (64, 32), "blue")


def heic(*images: Image.Image, primary: int = 0, **options: Any) -> bytes:
    return encode(
        images[0],
        "HEIF",
        save_all=True,
        append_images=images[1:],
        primary_index=primary,
        quality=100,
        chroma=444,
        **options,
    )


@pytest.fixture(autouse=True, scope="module")
def writer() -> None:
    """Let Pillow write HEIC, which product code does not need."""
    pillow_heif.register_heif_opener()


def decode(data: bytes, **options: Any) -> Image.Image:
    policy = {"max_megapixels": 1.0, "exif_rotate": True, **options}
    return decode_image(Fetched(data), "/a.heic", **policy)


def failure(data: bytes, **options: Any) -> tuple[str, str]:
    with pytest.raises(RowFailedError) as caught:
        decode(data, **options)
    return caught.value.failure.code, caught.value.failure.message


def shown(image: Image.Image) -> Any:
    return np.asarray(to_rgb(image)).astype(float)[16:17, 16::32]


def test_heic_is_read() -> None:
    assert np.abs(shown(decode(heic(BLOCKS))) - LEVELS).max() < 4


def test_ten_bits_are_read() -> None:
    deep = (np.asarray(BLOCKS).astype(np.uint16) * 257).tobytes()
    file = pillow_heif.from_bytes("RGB;16", BLOCKS.size, deep)
    buffer = io.BytesIO()
    file.save(buffer, quality=100, chroma=444)
    assert pillow_heif.open_heif(buffer, convert_hdr_to_8bit=False).info["bit_depth"] == 10
    assert np.abs(shown(decode(buffer.getvalue())) - LEVELS).max() < 4


@pytest.mark.parametrize("primary", [0, 1])
def test_of_several_images_the_primary_one_is_taken(primary: int) -> None:
    centre = decode(heic(RED, BLUE, primary=primary)).getpixel((8, 8))
    assert np.abs(np.subtract(centre, (255, 0, 0) if primary == 0 else (0, 0, 255))).max() < 6  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(heic(BLOCKS, exif=exif.tobytes()))
    want = decode(encode(BLOCKS, "PNG", exif=exif))
    assert decoded.size == want.size
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(want)).mean() < 4


def test_colours_are_converted() -> None:
    p3 = SPACES["Display P3"]
    with_profile = heic(BLOCKS, icc_profile=p3.profile)
    assert np.abs(shown(decode(with_profile)) - in_srgb(LEVELS, p3)).max() < 4
    points = {"color_primaries": 12, "transfer_characteristics": 13}
    by_points = heic(BLOCKS, **points)
    assert np.abs(shown(decode(by_points)) - in_srgb(LEVELS, p3)).max() < 4
    assert np.abs(shown(decode(by_points, colour="original")) - LEVELS).max() < 4


def test_alpha_is_dropped() -> None:
    image = BLOCKS.convert("RGBA")
    image.putalpha(40)
    assert np.abs(shown(decode(heic(image))) - LEVELS).max() < 5


def test_damaged_and_large_files_are_reported() -> None:
    data = heic(BLOCKS)
    assert failure(data[: len(data) // 2])[0] == "image_corrupt"
    assert failure(data, max_megapixels=0.001)[0] == "image_too_large"


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    code, message = failure(heic(BLOCKS))
    assert code == "image_unsupported"
    assert (
        "it looks like HEIC, which needs the extra heic: pip install 'uso-batch[heic]'" in message
    )
