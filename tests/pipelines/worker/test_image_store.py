from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.config.output import OutputConfig
from pipelines.failures import RowFailedError
from pipelines.storage.storage import Storage
from pipelines.worker.image_store import ImageStore, image_path
from tests.pipelines.pictures import encode, picture
from tests.s3_server import S3Server


def make(root: Path | str, **output: Any) -> ImageStore:
    return ImageStore(Storage.at(str(root)), OutputConfig(path=str(root), **output))


# --- names --------------------------------------------------------------------------------------

NASTY_IDS = [
    *("x", "x_1", "x_0", "x_01", "X", "x-", "x.png", "x-" + "a" * 24, "0", "00", "con"),
    *("a/b", "a_b", "a\\b", "a b", "a\0b", "a\nb", ".", "..", "../../x", "/etc/passwd", "%2e%2e"),
    *("-", "_", " ", "~", "\u00e9", "e\u0301", "\u65e5\u672c", "\u202ex", "\u0130", "\u00df", "SS"),
    *("x" * 100, "x" * 101, "x" * 255, "x" * 256, "\ud800"),
]


def paths_of(row_id: str, count: int) -> list[str]:
    return [image_path(row_id, index, count, "png") for index in range(count)]


ROW_IDS = st.one_of(
    st.sampled_from(NASTY_IDS),
    st.text(max_size=12),
    st.from_regex(r"[a-zA-Z]{0,2}[_.-]?[0-9]{0,2}", fullmatch=True),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(ROW_IDS, st.integers(1, 8), min_size=2, max_size=8))
@example(dict.fromkeys(NASTY_IDS, 2))
@example({"x": 2, "x_1": 1})
@example({"x": 2, "X": 2, "x_0": 2})
def test_no_two_ids_ever_share_a_file(counts: dict[str, int]) -> None:
    paths = [path.lower() for row_id, count in counts.items() for path in paths_of(row_id, count)]
    assert len(set(paths)) == len(paths)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(row_id=st.one_of(st.sampled_from(NASTY_IDS), st.text(max_size=256)), count=st.integers(1, 8))
def test_names_are_safe_everywhere(row_id: str, count: int) -> None:
    for path in paths_of(row_id, count):
        match = re.fullmatch(r"images/[0-9a-f]{2}/([A-Za-z0-9][A-Za-z0-9._-]*)\.png", path)
        assert match is not None, path
        assert len(match[1]) <= 110


def test_what_an_adversary_would_hash_does_not_collide_either() -> None:
    taken = image_path("A/B", 0, 1, "png").rpartition("/")[2].removesuffix(".png")
    for other in (taken, taken.lower(), f"{taken}_0", taken.upper()):
        assert image_path(other, 0, 1, "png") != image_path("A/B", 0, 1, "png")
        assert image_path(other, 0, 1, "png") != image_path("A/B", 0, 2, "png")


def test_plain_ids_stay_readable() -> None:
    for plain in ("42", "sample_0001", "a-b.c", "row-12", "3f9a"):
        folder = hashlib.sha256(plain.encode()).hexdigest()[:2]
        assert image_path(plain, 0, 1, "png") == f"images/{folder}/{plain}.png"
        assert image_path(plain, 3, 8, "webp") == f"images/{folder}/{plain}_3.webp"


def test_other_ids_keep_what_can_be_read() -> None:
    path = image_path("Photos/Été 2024.jpg", 0, 1, "jpg")
    assert re.search(r"/Photos_t_2024\.jpg-[0-9a-f]{24}\.jpg$", path)


@pytest.mark.parametrize(("index", "count"), [(-1, 1), (1, 1), (10, 12)])
def test_an_index_out_of_range_is_a_bug(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="index below"):
        image_path("x", index, count, "png")


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "ending", "fmt", "exact"),
    [
        ({}, ".png", "PNG", True),
        ({"format": "webp", "lossless": True}, ".webp", "WEBP", True),
        ({"format": "webp", "quality": 90}, ".webp", "WEBP", False),
        ({"format": "jpeg", "quality": 90}, ".jpg", "JPEG", False),
    ],
)
def test_formats(
    tmp_path: Path, options: dict[str, Any], ending: str, fmt: str, exact: bool
) -> None:
    [stored] = make(tmp_path, **options).save("row", [picture(64, 64)])
    assert stored.uri.endswith(f"/row{ending}")
    data = Path(stored.uri).read_bytes()
    assert (stored.sha256, stored.num_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == (fmt, "RGB", (64, 64))
        assert (image.tobytes() == picture(64, 64).tobytes()) == exact


def test_quality_matters(tmp_path: Path) -> None:
    sizes = [
        make(tmp_path, format=fmt, quality=quality).save("row", [picture(64, 64)])[0].num_bytes
        for fmt in ("jpeg", "webp")
        for quality in (10, 95)
    ]
    assert sizes[0] < sizes[1]
    assert sizes[2] < sizes[3]


@pytest.mark.parametrize("fmt", ["png", "webp", "jpeg"])
def test_the_same_image_gives_the_same_file_whatever_its_info_says(
    tmp_path: Path, fmt: str
) -> None:
    store = make(tmp_path, format=fmt)
    plain, dressed = picture(), picture()
    dressed.info = {"icc_profile": b"x", "comment": b"at 12:03", "exif": b"Exif\0\0", "dpi": (7, 7)}
    [first] = store.save("row", [plain])
    [second] = store.save("row", [dressed])
    assert first == second
    assert "comment" in dressed.info


def test_several_images_are_numbered_and_overwritten_in_place(tmp_path: Path) -> None:
    store = make(tmp_path)
    stored = store.save("row", [picture(seed=1), picture(seed=2)])
    again = store.save("row", [picture(seed=1), picture(seed=2)])
    assert [Path(image.uri).name for image in stored] == ["row_0.png", "row_1.png"]
    assert stored == again
    assert len({image.sha256 for image in stored}) == 2
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_nothing_is_written_when_one_image_cannot_be_encoded(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot write mode"):
        make(tmp_path, format="jpeg").save("row", [picture(), picture(mode="RGBA")])
    assert list(tmp_path.rglob("*.jpg")) == []


def test_storage_that_refuses_fails_the_row_with_its_uri(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the folder should be")
    with pytest.raises(RowFailedError) as caught:
        make(tmp_path).save("row", [picture()])
    failure = caught.value.failure
    assert failure.code == "storage_write"
    assert failure.uri is not None
    assert failure.uri.startswith(str(tmp_path))
    assert failure.uri in failure.message


@pytest.mark.s3
def test_images_on_s3(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    storage = Storage.at(f"s3://{bucket}/out", s3_server.options)
    [stored] = ImageStore(storage, OutputConfig(path="unused")).save("row", [picture()])
    folder = hashlib.sha256(b"row").hexdigest()[:2]
    assert stored.uri == f"s3://{bucket}/out/images/{folder}/row.png"
    assert storage.read(f"images/{folder}/row.png") == encode(picture(), compress_level=1)
