from __future__ import annotations

import io
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from pipelines.config.output import OutputConfig
from pipelines.formats import (
    FORMAT_BY_SUFFIX,
    FORMATS,
    LAYOUT_SUMMARIES,
    FormatName,
    ImageEncoding,
    LayoutName,
)
from pipelines.packing.shard import LAYOUTS
from tests.pipelines.pictures import picture

ENCODINGS = [
    ImageEncoding(name, lossless=way.lossless)
    for name, known in FORMATS.items()
    for way in known.compressions
]


def test_every_name_has_an_entry_in_every_table() -> None:
    assert tuple(FORMATS) == get_args(FormatName)
    assert tuple(LAYOUT_SUMMARIES) == tuple(LAYOUTS) == get_args(LayoutName)


def test_an_extension_belongs_to_one_format_and_to_one_layout() -> None:
    assert len(FORMAT_BY_SUFFIX) == sum(len(known.extensions) for known in FORMATS.values())
    assert len({layout.suffix for layout in LAYOUTS.values()}) == len(LAYOUTS)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_files_are_what_the_table_says(encoding: ImageEncoding) -> None:
    image = picture(64, 64)
    with Image.open(io.BytesIO(encoding.encode(image))) as read:
        known = FORMATS[encoding.format]
        assert read.get_format_mimetype() == known.mime_type
        assert Image.registered_extensions()[f".{encoding.extension}"] == read.format
        assert (read.mode, read.size) == ("RGB", (64, 64))
        assert (read.tobytes() == image.tobytes()) == encoding.file_facts["lossless"]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_the_quality_is_a_fact_where_it_changes_the_file(encoding: ImageEncoding) -> None:
    image = picture(64, 64)
    low, high = (ImageEncoding(encoding.format, q, encoding.lossless) for q in (10, 95))
    if low.file_facts == high.file_facts:
        assert low.encode(image) == high.encode(image)
    else:
        assert len(low.encode(image)) < len(high.encode(image))


@pytest.mark.parametrize(
    ("output", "facts", "bytes_per_pixel"),
    [
        ({"quality": 50}, ("png", True, None), 1.6),
        ({"format": "webp", "quality": 80}, ("webp", False, 80), 0.25),
        ({"format": "webp", "lossless": True}, ("webp", True, None), 1.1),
        ({"format": "avif", "quality": 60}, ("avif", False, 60), 0.2),
        ({"format": "jpeg", "lossless": True}, ("jpeg", False, 95), 0.45),
    ],
)
def test_the_configuration_chooses_the_compression(
    output: dict[str, Any], facts: tuple[str, bool, int | None], bytes_per_pixel: float
) -> None:
    encoding = OutputConfig(path="out", **output).encoding
    assert encoding.file_facts == dict(zip(("format", "lossless", "quality"), facts, strict=True))
    assert encoding.bytes_per_pixel == bytes_per_pixel


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_pixels_give_the_same_file_with_or_without_metadata(name: FormatName) -> None:
    plain, annotated = picture(), picture()
    annotated.info = {
        "icc_profile": b"x",
        "comment": b"at 12:03",
        "exif": b"Exif\0\0",
        "dpi": (7, 7),
    }
    assert ImageEncoding(name).encode(plain) == ImageEncoding(name).encode(annotated)
    assert "comment" in annotated.info


def test_the_bytes_of_avif_do_not_depend_on_the_cores_of_a_machine() -> None:
    image = picture(600, 400)
    encoding = ImageEncoding("avif", quality=90)
    buffer = io.BytesIO()
    options = FORMATS["avif"].compressions[0].options(90)
    image.save(buffer, "AVIF", **options, autotiling=True)
    assert options["max_threads"] == 1
    assert encoding.encode(image) == buffer.getvalue()
    image.save(several := io.BytesIO(), "AVIF", **{**options, "max_threads": 4})
    assert several.getvalue() != buffer.getvalue()  # else the option has become needless


def test_a_format_that_pillow_cannot_write_is_refused_before_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert OutputConfig(path="out", format="avif").encoding.extension == "avif"
    monkeypatch.setattr("PIL.features.check", lambda name: name != "avif")
    with pytest.raises(ValueError, match="cannot write avif; install a wheel of Pillow"):
        OutputConfig(path="out", format="avif")
    OutputConfig(path="out", format="jpeg")


def test_a_format_is_found_by_the_end_of_a_name() -> None:
    assert FORMAT_BY_SUFFIX[Path("a.b.jpeg").suffix] == "jpeg"
    assert FORMAT_BY_SUFFIX[".jpg"] == "jpeg"
    assert ".gif" not in FORMAT_BY_SUFFIX
