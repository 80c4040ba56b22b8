"""Any bytes give an image that the model accepts, or a failure with a code."""

from __future__ import annotations

import io

import torch
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pipelines.failures import CODES, RowFailedError
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image, prepare_pillow
from tests.fuzz.fuzzed import fuzzed
from tests.fuzz.tables import damaged
from tests.pipelines.fetch.test_image_decode import FILES
from tests.pipelines.fetch.test_inspect_image import both
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tiny_models import tiny
from uso_core.errors import InvalidRequestError
from uso_core.request import StylizeRequest

_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _animated(format: str) -> bytes:  # noqa: A002 (as Pillow has it)
    stream = io.BytesIO()
    frames = [picture(seed=seed) for seed in range(3)]
    frames[0].save(stream, format, save_all=True, append_images=frames[1:], duration=40)
    return stream.getvalue()


_MORE = {
    "cmyk": encode(picture().convert("CMYK"), "JPEG", icc_profile=_PROFILE),
    "icc": encode(picture(), "PNG", icc_profile=_PROFILE),
    "palette": encode(picture().convert("P"), "PNG", transparency=3),
    "grey16": encode(Image.new("I;16", (40, 30), 40_000), "PNG"),
    "float": encode(Image.new("F", (40, 30), 0.5), "TIFF"),
    "bits": encode(picture().convert("1"), "TIFF"),
    "1x1": encode(picture(1, 1)),
    "wide": encode(Image.new("L", (3000, 10), 128)),
    "gif-animated": _animated("GIF"),
    "webp-animated": _animated("WEBP"),
    "png-animated": _animated("PNG"),
}
_FILES = {**FILES, **_MORE}
_DAMAGED = st.sampled_from(sorted(_FILES)).flatmap(lambda name: damaged(_FILES[name]))


@fuzzed(_DAMAGED | st.binary(max_size=100))
def test_any_image_bytes(data: bytes) -> None:
    prepare_pillow()  # its warning filter ends with the test
    try:
        image = decode_image(Fetched(data), data, max_megapixels=2, exif_rotate=True)
    except RowFailedError as error:
        assert error.failure.code in CODES
        return
    assert image.width * image.height <= 2e6
    request = StylizeRequest(
        content_image=image, style_images=[image], content_long_size=32, num_steps=1
    )
    try:
        prepared = tiny().prepare(request)
    except InvalidRequestError as error:
        assert error.field  # too narrow for the grid
        return
    assert prepared.content is not None
    assert prepared.content.mode == "RGB"
    style = prepared.styles[0]
    assert isinstance(style, torch.Tensor)
    assert style.isfinite().all()


@fuzzed(_DAMAGED)
def test_an_image_that_is_inspected_has_the_same_facts(data: bytes) -> None:
    decoded, inspected = both(data, max_megapixels=2)
    assert decoded == inspected


def test_every_file_is_read_while_it_is_whole() -> None:
    prepare_pillow()
    for name, data in _FILES.items():
        image = decode_image(Fetched(data), data, max_megapixels=2, exif_rotate=True)
        assert image.size in {(48, 32), (40, 30), (1, 1), (3000, 10)}, name
