from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipelines.config.accepted import AcceptedValues
from pipelines.config.page import page
from pipelines.config.schema import RunConfig

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
ROWS_OWN = "defaults"  # docs/manifest.md describes these keys


def keys(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield name, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from ((f"{name}.{inner}", found) for inner, found in keys(field.annotation))


KEYS = [key for key in keys(RunConfig) if "." in key[0]]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


@pytest.mark.parametrize(("key", "field"), KEYS, ids=[name for name, _ in KEYS])
def test_every_key_has_a_meaning_and_its_default(key: str, field: FieldInfo) -> None:
    section, _, name = key.partition(".")
    text = page().partition(f"## `{section}`\n")[2].partition("\n## ")[0]
    if section == ROWS_OWN:
        assert f"`{name}`" in text
        assert field.default is None
        return
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
    _, accepts, default, meaning = re.split(r" ?\| ", row.strip("| "))[-4:]
    assert accepts
    assert meaning.endswith(".")
    assert (default == "required") is field.is_required()


def test_prose_is_wrapped_and_links_stay_whole() -> None:
    lines = page().splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []
    assert "docs/" not in page()
    assert "see [presets](presets.md#batches-of-small-images)." in page()


def test_keys_inside_a_key_have_rows_of_their_own() -> None:
    rows = {line.split("`")[1] for line in page().splitlines() if line.startswith("| `")}
    assert {"actors.min", "actors.max", "loras[].path", "loras[].weight"} <= rows


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (("output", "format"), "`png`, `webp`, `jpeg` or `avif`"),
        (("output", "lossless"), "`true` or `false`"),
        (("stylize", "rows_in_flight"), "an integer from 1 to 64 or `auto`"),
        (("stylize", "actors"), "an integer of at least 1 or a section with `min`, `max`"),
        (("stylize", "actors", "max"), "an integer of at least 1"),
        (("model", "loras"), "a list of sections with `path`, `weight`"),
        (("model", "loras", 0, "weight"), "a number from -4 to 4"),
        (("model", "cache_threshold"), "a number greater than 0 and less than 1 or `null`"),
        (("manifest", "path"), "a string or a list of strings"),
        (("ray", "env", "X"), "a string"),
        (("storage",), "a section with keys of your own"),
    ],
)
def test_accepted_values_in_words(key: tuple[str | int, ...], words: str) -> None:
    assert AcceptedValues(RunConfig, quote=lambda word: f"`{word}`").of(key) == words
