from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pipelines.tools.compose.names import SEPARATOR, image_names, prompt_names


def test_names_are_file_names_without_their_ending() -> None:
    uris = ["s3://bucket/a/cat.v2.JPG", "/photos/My dog (1).png", "https://h/x.jpg?sig=1"]
    assert image_names(uris) == ["cat.v2", "My_dog_1_", "x"]


def test_files_of_one_name_get_their_folders_or_a_hash() -> None:
    names = image_names(["/a/1.jpg", "/b/1.jpg", "/c/2.jpg"])
    assert names == ["a-1", "b-1", "2"]
    names = image_names(["/a/1.jpg", "/a/1.png"])
    assert all(re.fullmatch(r"1-[0-9a-f]{12}", name) for name in names)
    assert len(set(names)) == 2


def test_a_name_depends_only_on_files_of_the_same_name() -> None:
    alone = image_names(["/a/1.jpg", "/a/2.jpg"])
    assert image_names(["/a/0.jpg", "/a/1.jpg", "/a/2.jpg"])[1:] == alone


def test_prompts_are_named_by_their_first_words() -> None:
    long = "An old house at the sea in the evening, " + "very " * 30
    names = prompt_names(["", "In the snow!", long, long + "blue"])
    assert names[:2] == ["no_prompt", "in_the_snow_"]
    assert all(name.startswith("an_old_house_at_the_sea") for name in names[2:])
    assert len(set(names)) == 4


def test_equal_things_are_numbered() -> None:
    names = prompt_names(["a", "a"])
    assert [name[-2:] for name in names] == [".1", ".2"]


@given(st.lists(st.text(max_size=100).map(lambda text: f"/x/{text}.png"), unique=True, max_size=20))
def test_names_are_unique_and_can_be_joined(uris: list[str]) -> None:
    names = image_names(uris)
    assert len(set(names)) == len(uris)
    assert all(name and len(name) <= 80 for name in names)
    assert not any(SEPARATOR in name or name[0] == "-" or name[-1] == "-" for name in names)
