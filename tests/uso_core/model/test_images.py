from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from transformers import SiglipImageProcessorPil

from tests.uso_core.goldens import CHECKPOINT, unit_rows, unit_tensors
from tests.uso_core.icc import grey_cmyk_profile
from tests.uso_core.synth import image_sha256, synth_image
from uso_core.errors import InvalidRequestError
from uso_core.model.images import fit_content, image_to_tensor, quantize, tensor_to_pixels, to_rgb
from uso_core.model.sizes import Size, content_size

CONTENT_ROWS = unit_rows("preprocess_ref")
# The original clips 16-bit grey at 255, which makes nearly all of it white; we scale it.
CLIPPED_GREY = {28, 29}
# The original's `scale_ratio` belongs to a mode with several content images, not to USO.
OTHER_GRID = {33}
PLAIN_ROWS = [
    row
    for row in CONTENT_ROWS
    if "exception" not in row
    and min(row["out_width"], row["out_height"]) > 0
    and row["id"] not in CLIPPED_GREY | OTHER_GRID
]


def row_image(row: dict[str, Any]) -> Image.Image:
    image = synth_image(row["width"], row["height"], row["mode"], row["seed"])
    assert image_sha256(image) == row["input_sha256"]
    return image


@pytest.mark.parametrize("row", PLAIN_ROWS, ids=lambda row: f"row{row['id']}")
def test_content_image_is_the_originals(row: dict[str, Any]) -> None:
    image = row_image(row)
    if row["via"] == "rgb_first":  # as in both of the original's entry points
        fitted = fit_content(to_rgb(image), row["long_size"])
    else:
        fitted = fit_content(image, row["long_size"])
        fitted = fitted if row["out_mode"] == fitted.mode else to_rgb(fitted)
    assert fitted.size == (row["out_width"], row["out_height"])
    assert fitted.size == content_size(Size(*image.size), row["long_size"])
    assert hashlib.sha256(fitted.tobytes()).hexdigest() == row["out_sha256"]


@pytest.mark.parametrize("row_id", [30, 31, 35])
def test_content_that_the_original_breaks_on_is_refused(row_id: int) -> None:
    row = CONTENT_ROWS[row_id]
    with pytest.raises(InvalidRequestError, match="shorter side is at least 16 px"):
        content_size(Size(row["width"], row["height"]), row["long_size"])


@pytest.mark.parametrize("row_id", sorted(CLIPPED_GREY))
def test_grey_of_16_bits_is_scaled(row_id: int) -> None:
    image = row_image(CONTENT_ROWS[row_id])
    grey = np.asarray(to_rgb(image))[..., 0]
    assert (grey == np.asarray(image) // 257).all()


@pytest.mark.parametrize("row", unit_rows("siglip_pixels"), ids=lambda row: f"row{row['id']}")
def test_style_pixels_are_the_originals(row: dict[str, Any]) -> None:
    processor = SiglipImageProcessorPil.from_pretrained(CHECKPOINT / "siglip")
    processor.size = {"height": row["size"], "width": row["size"]}
    pixels = processor(to_rgb(row_image(row)), return_tensors="pt").pixel_values
    levels = ((pixels + 1) * 127.5).round().to(torch.uint8)
    assert hashlib.sha256(levels.numpy().tobytes()).hexdigest() == row["uint8_sha256"]
    if row.get("full_array"):
        assert torch.equal(pixels, unit_tensors("siglip_pixels")[row["full_array"]])


@pytest.mark.parametrize("row", unit_rows("to_uint8"), ids=lambda row: str(row["x"]))
def test_levels_are_truncated(row: dict[str, Any]) -> None:
    assert quantize(torch.tensor([row["x"]])).item() == row["byte"]


def test_tensor_and_image_are_inverse_but_for_truncation() -> None:
    image = synth_image(32, 16, seed=3)
    pixels = image_to_tensor(image)
    assert pixels.shape == (1, 3, 16, 32)
    assert pixels.min() >= -1
    assert pixels.max() <= 1
    back = np.asarray(tensor_to_pixels(pixels).image()).astype(int)
    assert ((np.asarray(image) - back) <= 1).all()


def test_nan_is_not_an_image() -> None:
    pixels = torch.zeros(1, 3, 16, 16)
    pixels[0, 1, 2, 3] = float("nan")
    with pytest.raises(FloatingPointError, match="NaN"):
        tensor_to_pixels(pixels).to_host().image()


GREY_MODES = ["1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"]
COLOUR_MODES = ["P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"]


@pytest.mark.parametrize("mode", [*GREY_MODES, *COLOUR_MODES])
def test_every_mode_becomes_rgb(mode: str) -> None:
    rgb = to_rgb(Image.new(mode, (5, 3)))
    assert (rgb.mode, rgb.size) == ("RGB", (5, 3))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_dropped_not_composited(mode: str) -> None:
    colour = (10, 20, 30, 0) if mode == "RGBA" else (10, 0)
    rgb = to_rgb(Image.new(mode, (1, 1), colour))
    assert rgb.getpixel((0, 0)) == ((10, 20, 30) if mode == "RGBA" else (10, 10, 10))


@pytest.mark.parametrize("transparency", [0, b"\x00\x80"])
@pytest.mark.filterwarnings("error")
def test_transparent_palette_entries_keep_their_colour(transparency: int | bytes) -> None:
    image = Image.new("P", (1, 1), 0)
    image.putpalette([200, 100, 50, 1, 2, 3])
    image.info["transparency"] = transparency
    rgb = to_rgb(image)
    assert rgb.getpixel((0, 0)) == (200, 100, 50)
    assert "transparency" not in rgb.info


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_is_forgotten_in_the_copy_alone(mode: str) -> None:
    image = Image.new(mode, (2, 2), 7 if mode == "L" else (7, 7, 7))
    image.info["transparency"] = 7 if mode == "L" else (7, 7, 7)
    assert "transparency" not in to_rgb(image).info
    assert "transparency" in image.info


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.4, 255.0], [0, 100, 255]),
        ([float("nan"), 0.0, 1.0], [0, 0, 255]),
        ([0.5] * 19 + [7.0], [128] * 19 + [255]),
        ([0.0, *[200.0] * 38, 300.0], [0, *[200] * 38, 255]),
        ([0.0] * 19 + [-1.0], [0] * 20),
        ([0.0] * 97 + [128.0, 200.0, 255.0], [0] * 97 + [128, 200, 255]),
    ],
)
def test_float_images_have_one_of_two_ranges(values: list[float], levels: list[int]) -> None:
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert np.asarray(to_rgb(image))[0, :, 0].tolist() == levels


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.0, 30_000.0, 65_535.0], "from 0 to 6.554e+04"),
        ([0.0, 50.0, 100.0], "from 0 to 100"),
        ([-1.0, 0.0, 1.0], "from -1 to 1"),
        ([0.1, 0.2, 0.3, 0.4, 2.0], "from 0.1 to 2"),
        ([0.0] * 97 + [900.0, 3000.0, 4095.0], "from 0 to 4095"),
        ([210.0] * 97 + [65_535.0], "from 210 to 6.554e+04"),
    ],
)
def test_float_images_of_an_unclear_range_are_rejected(values: list[float], shown: str) -> None:
    image = Image.fromarray(np.array([values], dtype=np.float32))
    with pytest.raises(InvalidRequestError, match="content_image") as caught:
        to_rgb(image, "content_image")
    assert shown in str(caught.value)


def test_integer_images_have_16_bits() -> None:
    image = Image.fromarray(np.array([[-5, 0, 32896, 65535, 10**6]], dtype=np.int32))
    assert image.mode == "I"
    assert np.asarray(to_rgb(image))[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_cmyk_goes_through_its_profile_where_that_is_of_use() -> None:
    image = synth_image(8, 8, "CMYK", 1)
    plain = image.convert("RGB").tobytes()
    image.info["icc_profile"] = b"not a profile"
    assert to_rgb(image).tobytes() == plain
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    image.info["icc_profile"] = srgb.tobytes()
    assert to_rgb(image).tobytes() == plain
    image.info["icc_profile"] = grey_cmyk_profile()
    red, green, blue = (band.tobytes() for band in to_rgb(image).split())
    assert red == green == blue


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    buffer = BytesIO()
    synth_image(16, 16, "CMYK", 2).save(buffer, "JPEG")
    assert to_rgb(Image.open(buffer)).mode == "RGB"
