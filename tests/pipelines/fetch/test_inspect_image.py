"""`inspect_image` against `decode_image`, which is the truth."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.failures import RowFailedError
from pipelines.fetch.colour.convert import COLOUR_NOTE
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import ImageFacts, decode_image, inspect_image, prepare_pillow
from tests.pipelines.pictures import encode, picture
from uso_core.model.sizes import Size

WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"progressive": True},
    {"subsampling": 0},
    {"subsampling": 2, "quality": 30},
    {"restart_marker_blocks": 2},
    {"optimize": True, "icc_profile": b"no profile"},
)


def jpeg(way: dict[str, Any], mode: str = "RGB", size: tuple[int, int] = (67, 45)) -> bytes:
    noise = np.random.default_rng(5).integers(0, 256, (size[1], size[0], 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, "JPEG", **way)
    return stream.getvalue()


def both(data: bytes, **policy: Any) -> tuple[ImageFacts | str, ImageFacts | str]:
    """Return the facts, or the failure's code, of both functions."""
    prepare_pillow()
    policy = {"max_megapixels": 1, "exif_rotate": True} | policy
    try:
        image = decode_image(Fetched(data), "/a", **policy)
        decoded: ImageFacts | str = ImageFacts(Size(*image.size), image.info.get(COLOUR_NOTE))
    except RowFailedError as error:
        decoded = error.failure.code
    try:
        return decoded, inspect_image(Fetched(data), "/a", **policy)
    except RowFailedError as error:
        return decoded, error.failure.code


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("way", WAYS)
def test_a_jpeg_has_the_same_facts(way: dict[str, Any], mode: str) -> None:
    for size in ((67, 45), (1, 1), (8, 300)):
        decoded, inspected = both(jpeg(way, mode, size))
        assert decoded == inspected
        assert isinstance(inspected, ImageFacts)
        assert inspected.size == size


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("exif_rotate", [True, False])
def test_the_size_is_upright(orientation: int, exif_rotate: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded, inspected = both(jpeg({"exif": exif}), exif_rotate=exif_rotate)
    on_its_side = exif_rotate and 5 <= orientation <= 8
    assert decoded == inspected == (Size(45, 67) if on_its_side else Size(67, 45), None)


@pytest.mark.parametrize("way", WAYS)
def test_a_cut_jpeg_has_the_same_fault(way: dict[str, Any]) -> None:
    data = jpeg(way)
    found = [both(data[: len(data) * part // 200]) for part in range(200)]
    assert [decoded for decoded, _ in found] == [inspected for _, inspected in found]
    assert {"image_corrupt"} <= {decoded for decoded, _ in found if isinstance(decoded, str)}


MARKERS = st.integers(0, 255).map(lambda kind: bytes([0xFF, kind]))
DAMAGE = st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 9).map(lambda taken: max(0, taken - 3)),
    st.binary(max_size=9) | MARKERS | st.just(jpeg({})) | st.just(jpeg({"progressive": True})[40:]),
)


@given(st.sampled_from(WAYS), st.sampled_from(["RGB", "L"]), st.lists(DAMAGE, max_size=4))
def test_a_damaged_jpeg_has_the_same_facts(
    way: dict[str, Any], mode: str, damage: list[tuple[float, int, bytes]]
) -> None:
    data = jpeg(way, mode)
    for place, taken, put in damage:
        at = int(place * len(data))
        data = data[:at] + put + data[at + taken :]
    decoded, inspected = both(data)
    assert decoded == inspected


def test_a_jpeg_of_several_images_has_the_same_facts() -> None:
    stream = io.BytesIO()
    first, second = picture(40, 30), picture(64, 48)
    first.save(stream, "MPO", save_all=True, append_images=[second])
    data = stream.getvalue()
    assert both(data) == ((Size(40, 30), None),) * 2
    for part in range(100):
        decoded, inspected = both(data[: len(data) * part // 100])
        assert decoded == inspected


def test_pixels_without_a_meaning_are_found_by_neither() -> None:
    """The reason why a plain JPEG need not be decoded; a decoder that finds them must be asked."""
    data = bytearray(jpeg({}))
    pixels = Fetched(bytes(data)).without_pixels.index(b"\xff\xd9")
    end = len(data) - 2
    for filling in (bytes(end - pixels), b"\x7f" * (end - pixels), b""):
        damaged = bytes(data[:pixels]) + filling + b"\xff\xd9"
        assert both(damaged) == ((Size(67, 45), None),) * 2


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_other_formats_have_the_same_facts(form: str) -> None:
    data = encode(picture(64, 48), form)
    for some in (data, data[: len(data) // 2], b""):
        decoded, inspected = both(some)
        assert decoded == inspected


def test_a_large_image_is_refused_by_its_header() -> None:
    assert both(jpeg({}), max_megapixels=0.001) == ("image_too_large", "image_too_large")
