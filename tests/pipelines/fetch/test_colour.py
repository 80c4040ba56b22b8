from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, features

from pipelines.failures import RowFailedError
from pipelines.fetch.colour.profiles import SRGB, profile_of
from pipelines.fetch.fetched import Fetched
from pipelines.fetch.image_decode import decode_image
from tests.pipelines.fetch.colours import (
    LEVELS,
    SPACES,
    Space,
    chunk,
    grey_profile,
    in_srgb,
    with_chunks,
    with_cicp,
)
from tests.pipelines.pictures import encode, picture
from tests.uso_core.icc import grey_cmyk_profile
from uso_core.model.images import to_rgb

FORMATS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "JPEG": {"quality": 100, "subsampling": 0},
    **({"AVIF": {"quality": 100}} if features.check("avif") else {}),
}
# Each colour is a block, so that JPEG keeps it.
BLOCKS = np.kron(LEVELS, np.ones((16, 16, 1), np.uint8))
NOTE = "its colour profile is damaged, or is not for its pixels; it is taken as sRGB"
P3 = SPACES["Display P3"]


def decode(data: bytes, colour: Any = "convert") -> Image.Image:
    return decode_image(Fetched(data), "/a.png", max_megapixels=5, exif_rotate=True, colour=colour)


def levels(image: Image.Image) -> Any:
    """The level in the middle of each block, as a row sees it."""
    return np.asarray(to_rgb(image)).astype(float)[8:9, 8::16]


def off(data: bytes, space: Space, colour: str = "convert") -> float:
    return float(np.abs(levels(decode(data, colour)) - in_srgb(LEVELS, space)).max())


def png(mode: str = "RGB", **options: Any) -> bytes:
    return encode(Image.fromarray(BLOCKS).convert(mode), "PNG", **options)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("fmt", FORMATS)
def test_profiles_are_converted_to_srgb(fmt: str, name: str) -> None:
    space = SPACES[name]
    data = encode(Image.fromarray(BLOCKS), fmt, icc_profile=space.profile, **FORMATS[fmt])
    lossy = 3.5 if fmt in ("JPEG", "AVIF") else 1.6
    assert off(data, space) < lossy
    assert np.abs(levels(decode(data, "original")) - LEVELS).max() < lossy
    assert np.abs(in_srgb(LEVELS, space) - LEVELS).max() > 8  # so the two differ


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA"])
def test_every_mode_with_a_colour_profile_is_converted(mode: str) -> None:
    image = Image.fromarray(BLOCKS).convert(mode)
    want = np.asarray(image.convert("RGB"))[8:9, 8::16]
    decoded = decode(encode(image, "PNG", icc_profile=P3.profile))
    assert np.abs(levels(decoded) - in_srgb(want, P3)).max() < 1.6
    if "A" in mode:
        assert decoded.getchannel("A").tobytes() == image.getchannel("A").tobytes()


def test_transparency_of_a_palette_and_of_a_colour_survives() -> None:
    image = Image.fromarray(BLOCKS).quantize(8)
    data = encode(image, "PNG", icc_profile=P3.profile, transparency=image.getpixel((40, 8)))
    assert decode(data).getpixel((40, 8))[3] == 0  # type: ignore[index]
    data = png(icc_profile=P3.profile, transparency=tuple(int(x) for x in LEVELS[0, 1]))
    assert decode(data).getchannel("A").getextrema() == (0, 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_profiles_are_converted(bits: int) -> None:
    ramp = np.linspace(0, 1, 96)[None].repeat(4, 0)
    number = np.uint8 if bits == 8 else np.uint16
    grey = np.round(ramp * (2**bits - 1)).astype(number)
    data = encode(Image.fromarray(grey), "PNG", icc_profile=grey_profile(1.8))
    want = in_srgb(np.round(ramp * 255)[..., None].repeat(3, -1).astype(np.uint8), _grey(1.8))
    assert np.abs(np.asarray(to_rgb(decode(data))) - want).max() < 2.1


def _grey(gamma: float) -> Space:
    return Space(b"", [[1, 0, 0], [0, 1, 0], [0, 0, 1]], gamma)


def test_pixels_of_srgb_profiles_stay_as_they_are() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for one in (profile, profile_of(SRGB)):
        decoded = decode(encode(picture(), "PNG", icc_profile=one))
        assert decoded.tobytes() == picture().tobytes()
        assert "colour_note" not in decoded.info


@pytest.mark.parametrize("profile", [b"profile", P3.profile[:200], grey_cmyk_profile()])
@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "TIFF"])
def test_broken_and_foreign_profiles_are_taken_as_srgb_and_said(fmt: str, profile: bytes) -> None:
    decoded = decode(encode(picture(), fmt, icc_profile=profile))
    assert decoded.tobytes() == decode(encode(picture(), fmt)).tobytes()
    assert decoded.info["colour_note"] == NOTE


def test_cmyk_keeps_its_profile() -> None:
    image = picture().convert("CMYK")
    decoded = decode(encode(image, "JPEG", icc_profile=grey_cmyk_profile()))
    assert decoded.mode == "CMYK"
    assert decoded.info["icc_profile"] == grey_cmyk_profile()


def test_a_profile_of_megabytes_and_a_long_text_are_read() -> None:
    profile = P3.profile + np.random.default_rng(0).bytes(3_000_000)
    sized = struct.pack(">I", len(profile)) + profile[4:]
    text = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(bytes(80 * 2**20)))
    long = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 2_000_000))
    data = with_chunks(png(icc_profile=sized), text, long)
    assert off(data, P3) < 1.6


def test_a_profile_over_the_bound_is_taken_as_srgb_and_said() -> None:
    packed = zlib.compress(P3.profile + bytes(16 * 2**20))
    decoded = decode(with_chunks(png(), chunk(b"iCCP", b"P3\0\0" + packed)))
    assert (levels(decoded) == LEVELS).all()
    assert decoded.info["colour_note"] == NOTE


def test_orientation_in_a_text_is_still_followed() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = with_chunks(png(), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    assert decode(data).size == (16, 96)


def test_code_points_of_png_are_converted() -> None:
    data = with_chunks(png(), chunk(b"cICP", bytes([12, 13, 0, 1])))
    assert off(data, P3) < 1.6
    both = with_chunks(png(icc_profile=SPACES["ProPhoto"].profile), chunk(b"cICP", b"\x0c\x0d\0\1"))
    assert off(both, P3) < 1.6
    plain = with_chunks(png(), chunk(b"cICP", bytes([1, 13, 0, 1])))
    assert (levels(decode(plain)) == LEVELS).all()


def test_gamma_of_png_is_followed() -> None:
    data = with_chunks(png(), chunk(b"gAMA", struct.pack(">I", 100_000)))
    assert off(data, _grey(1.0)) < 1.6
    points = [31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000]
    white_and_primaries = chunk(b"cHRM", struct.pack(">8I", *points))
    gamma = chunk(b"gAMA", struct.pack(">I", 45470))
    adobe = SPACES["Adobe RGB"]._replace(gamma=None)
    assert off(with_chunks(png(), gamma, white_and_primaries), adobe) < 1.6


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(b"gAMA", struct.pack(">I", 45455))],
        [chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">I", 100_000))],
        [chunk(b"gAMA", struct.pack(">I", 0))],
        [chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))],
        [chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"cHRM", struct.pack(">8I", *[0] * 8))],
    ],
    ids=["about sRGB", "sRGB first", "zero", "no gamma", "no primaries"],
)
def test_other_chunks_leave_pixels_as_they_are(chunks: list[bytes]) -> None:
    assert (levels(decode(with_chunks(png(), *chunks))) == LEVELS).all()


@pytest.mark.parametrize("profile", [b"x" * 200, P3.profile])
def test_a_profile_that_is_not_for_cmyk_is_remarked(profile: bytes) -> None:
    data = encode(Image.fromarray(BLOCKS).convert("CMYK"), "JPEG", icc_profile=profile)
    assert (
        decode(data).info["colour_note"]
        == "its colour profile is damaged, or is not for CMYK; it is left out"
    )
    plain = encode(Image.fromarray(BLOCKS).convert("CMYK"), "JPEG")
    assert "colour_note" not in decode(plain).info


def test_code_points_of_avif_are_converted() -> None:
    data = encode(Image.fromarray(BLOCKS), "AVIF", quality=100)
    stated = data.index(b"colrnclx") + 8
    p3 = data[:stated] + struct.pack(">HH", 12, 13) + data[stated + 4 :]
    assert off(p3, P3) < 3.5
    hdr = data[:stated] + struct.pack(">HH", 9, 16) + data[stated + 4 :]
    assert "HDR pixels (PQ)" in refused(hdr)


def test_a_cameras_adobe_rgb_needs_no_profile() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R03"}
    data = encode(Image.fromarray(BLOCKS), "JPEG", exif=exif, **FORMATS["JPEG"])
    assert off(data, SPACES["Adobe RGB"]) < 3.5


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_unsupported_unless_colours_stay_original(curve: int, name: str) -> None:
    for data in (
        with_chunks(png(), chunk(b"cICP", bytes([9, curve, 0, 1]))),
        png(icc_profile=with_cicp(P3.profile, 9, curve)),
        encode(picture(), "JPEG", icc_profile=with_cicp(P3.profile, 9, curve)),
    ):
        assert f"HDR pixels ({name})" in refused(data)
        assert decode(data, "original").size in ((96, 16), (48, 32))
    assert off(png(icc_profile=with_cicp(P3.profile, 12, 13)), P3) < 1.6


def refused(data: bytes) -> str:
    with pytest.raises(RowFailedError) as caught:
        decode(data)
    assert caught.value.failure.code == "image_unsupported"
    return caught.value.failure.message
