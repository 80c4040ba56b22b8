from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.image_names import image_path, path_in_output, sample_key

NASTY_IDS = [
    *("x", "x_1", "x_0", "x_01", "X", "x-", "x.png", "x-" + "a" * 24, "0", "00", "con"),
    *("a/b", "a_b", "a\\b", "a b", "a\0b", "a\nb", ".", "..", "../../x", "/etc/passwd", "%2e%2e"),
    *("-", "_", " ", "~", "\u00e9", "e\u0301", "\u65e5\u672c", "\u202ex", "\u0130", "\u00df", "SS"),
    *("x" * 100, "x" * 101, "x" * 255, "x" * 256, "\ud800", "a.b", "a.b_1", "images/3f/x.png"),
]
OUTPUTS = [
    *("/runs/out", "", "s3://bucket/out", "s3://bucket", "gs://b/a #1?/out", "memory://out"),
    *("/images/3f/out", "/runs/images/00", "C:/runs/out", "https://host:9000/a%20b"),
]

ROW_IDS = st.one_of(
    st.sampled_from(NASTY_IDS),
    st.text(max_size=12),
    st.from_regex(r"[a-zA-Z]{0,2}[_.-]?[0-9]{0,2}", fullmatch=True),
)
EXTENSIONS = st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True)


def paths_of(row_id: str, count: int) -> list[str]:
    return [image_path(row_id, index, count, "png") for index in range(count)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(ROW_IDS, st.integers(1, 8), min_size=2, max_size=8))
@example(dict.fromkeys(NASTY_IDS, 2))
@example({"x": 2, "x_1": 1})
@example({"x": 2, "X": 2, "x_0": 2})
@example({"a.b": 1, "a_b": 1, sample_key("images/00/a.b.png"): 1})
def test_no_two_ids_share_a_file_or_a_sample_key(counts: dict[str, int]) -> None:
    paths = [path for row_id, count in counts.items() for path in paths_of(row_id, count)]
    assert len({path.lower() for path in paths}) == len(paths)
    assert len({sample_key(path).lower() for path in paths}) == len(paths)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    row_id=st.one_of(ROW_IDS, st.text(max_size=256)),
    count=st.integers(1, 10),
    ext=EXTENSIONS,
    output=st.one_of(st.sampled_from(OUTPUTS), st.text(max_size=20)),
)
def test_a_uri_leads_back_to_the_path(row_id: str, count: int, ext: str, output: str) -> None:
    for index in range(count):
        path = image_path(row_id, index, count, ext)
        assert path_in_output(path) == path
        assert path_in_output(f"{output}/{path}") == path


@settings(max_examples=300, deadline=None, derandomize=True)
@given(row_id=st.one_of(st.sampled_from(NASTY_IDS), st.text(max_size=256)), count=st.integers(1, 8))
def test_names_are_safe_everywhere(row_id: str, count: int) -> None:
    for path in paths_of(row_id, count):
        match = re.fullmatch(r"images/[0-9a-f]{2}/([A-Za-z0-9][A-Za-z0-9._-]*)\.png", path)
        assert match is not None, path
        assert len(match[1]) <= 110
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,109}", sample_key(path)), path


def test_an_id_that_looks_like_a_hashed_name_does_not_collide() -> None:
    taken = image_path("A/B", 0, 1, "png").rpartition("/")[2].removesuffix(".png")
    for other in (taken, taken.lower(), f"{taken}_0", taken.upper()):
        assert image_path(other, 0, 1, "png") != image_path("A/B", 0, 1, "png")
        assert image_path(other, 0, 1, "png") != image_path("A/B", 0, 2, "png")


def test_plain_ids_stay_readable() -> None:
    for plain in ("42", "sample_0001", "a-b.c", "row-12", "3f9a"):
        folder = hashlib.sha256(plain.encode()).hexdigest()[:2]
        assert image_path(plain, 0, 1, "png") == f"images/{folder}/{plain}.png"
        assert image_path(plain, 3, 8, "webp") == f"images/{folder}/{plain}_3.webp"


def test_other_ids_keep_their_readable_part() -> None:
    path = image_path("Photos/Été 2024.jpg", 0, 1, "jpg")
    assert re.search(r"/Photos_t_2024\.jpg-[0-9a-f]{24}\.jpg$", path)


@pytest.mark.parametrize(("index", "count"), [(-1, 1), (1, 1), (10, 12)])
def test_an_index_out_of_range_is_a_bug(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="index below"):
        image_path("x", index, count, "png")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/old/place/images/3f/cat.png", "images/3f/cat.png"),
        ("s3://bucket/out/images/00/a b.webp", "images/00/a b.webp"),
        ("s3://bucket/images/zz/a.png", None),
        ("/out/images/3f/../../secret", None),
        ("/out/images/3f/cat.png?sig=1", None),
        ("/out/my-images/3f/cat.png", None),
    ],
)
def test_an_image_is_found_wherever_its_output_is(uri: str, expected: str | None) -> None:
    assert path_in_output(uri) == expected


def test_a_sample_key_has_no_dots() -> None:
    assert sample_key("images/3f/cat_1.png") == "cat_1"
    assert re.fullmatch(r"a_b-[0-9a-f]{24}", sample_key("images/3f/a.b.png"))
