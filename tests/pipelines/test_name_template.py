from __future__ import annotations

import re
from datetime import date, datetime, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.image_names import named_path, path_in_output, sample_key
from pipelines.name_template import NameTemplate, folded, safe_path

NASTY = [
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "a/../b",
        "./.ssh/x",
        "..",
        "C:\\x",
        "a\0b",
        "con",
        "NUL.txt",
    ),
    *(
        "pictures/x",
        "Pictures/a/pictures",
        "a/images/3f/x",
        "images/00/y",
        "\ud800",
        "\u202ex",
        "e\u0301",
    ),
    *("x" * 400, "\u65e5" * 200, "a" * 90 + "/" + "b" * 300, " . ", "?#%", "tab\there", "a//b"),
]
OUTPUTS = ("/runs/out", "s3://b/out", "/pictures/out", "/a/images/3f", "gs://b/pictures/3f/o", "")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.sampled_from(NASTY), st.text(max_size=40)), st.sampled_from(OUTPUTS))
@example("a/images/3f/x", "/pictures/out")
def test_any_value_gives_a_path_below_the_pictures(value: str, output: str) -> None:
    name = safe_path(value)
    if not name:
        return
    assert safe_path(name) == name
    for part in name.split("/"):
        assert part.strip(" .") == part
        assert not re.search(r'[\x00-\x1f\x7f<>:"\\|?*#%]', part)
        assert len(part.encode()) <= 150
    path = named_path(name, "png")
    assert path_in_output(f"{output}/{path}") == path
    assert re.fullmatch(r"[^./]+", sample_key(path))


def test_fields_are_formatted() -> None:
    values = {
        "n": 7,
        "day": date(2026, 3, 1),
        "at": datetime(2026, 3, 1, 8, 5, tzinfo=timezone.utc),
        "no": None,
        "t": "a/b",
    }
    for template, name in {
        "{n:03d}_{day}": "007_2026-03-01",
        "{at:%Y/%m}/{n}": "2026_03/7",
        "{at}": "2026-03-01T08-05-00",
        "{t}": "a_b",
        "{t:path}/{n}": "a/b/7",
        "{no}x{no:path}": "x",
        "{t:.1}": "a",
        "{at:%H:%M}": "08_05",
        "../{n}/../{t:path}": "7/a/b",
    }.items():
        assert NameTemplate(template).fill(values) == name


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("cat", "has no field in braces"),
        ("{id", "is not a template"),
        ("{id!r}", "write {id} or {id:FORMAT}"),
        ("{id:{n}}", "write {id} or {id:FORMAT}"),
        ("/{id}", "is an absolute path"),
        ("{}", "has no name"),
    ],
)
def test_a_wrong_template_says_why(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        NameTemplate(template)


def test_attributes_of_values_are_out_of_reach() -> None:
    template = NameTemplate("{n.__class__}")
    assert template.fields == {"n.__class__"}  # a column of this name
    with pytest.raises(KeyError):
        template.fill({"n": 1})


@pytest.mark.parametrize("value", [" ", "../", None])
def test_an_empty_name_is_refused(value: str | None) -> None:
    with pytest.raises(ValueError, match="empty name"):
        NameTemplate("{x:path}").fill({"x": value})


def test_a_name_that_no_store_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 700 bytes"):
        NameTemplate("{x:path}").fill({"x": "/".join(["folder"] * 200)})


def test_a_format_that_does_not_fit_names_the_field() -> None:
    with pytest.raises(ValueError, match=re.escape("{x:03d} does not fit a value of type str")):
        NameTemplate("{x:03d}").fill({"x": "a"})


def test_names_that_a_file_system_takes_for_the_same_fold_together() -> None:
    assert folded(safe_path("Cafe\u0301/A")) == folded(safe_path("caf\u00e9/a"))


def test_long_parts_stay_different() -> None:
    assert safe_path("x" * 400 + "1") != safe_path("x" * 400 + "2")


def test_samples_of_two_folders_have_two_keys() -> None:
    paths = ("pictures/3f/a.png", "pictures/4e/a.png", "pictures/a.png", "pictures/3f_a.png")
    assert len({sample_key(path) for path in paths}) == 4
