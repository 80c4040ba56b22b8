from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ManifestError
from pipelines.fields.table import INPUT_NAMES
from pipelines.manifest.row_identity import derived_seed
from pipelines.manifest.row_parser import RowParser, UnreadableRow
from pipelines.rows import ManifestRow, RejectedRow
from tests.pipelines.manifests import CARD, config
from uso_core.loading.source import ModelCard
from uso_core.request import MAX_SEED, Limits, Parameters

FOLDER = "s3://bucket/set/"


def parse(raw: dict[str, Any], row_id: str = "r", **sections: Any) -> ManifestRow | RejectedRow:
    columns = sections.pop("columns", {})
    return RowParser(config("m.parquet", **sections), CARD, columns).parse(raw, row_id, FOLDER)


def accepted(raw: dict[str, Any], **sections: Any) -> ManifestRow:
    row = parse(raw, **sections)
    assert isinstance(row, ManifestRow), row
    return row


def message(raw: dict[str, Any], **sections: Any) -> str:
    row = parse(raw, **sections)
    assert isinstance(row, RejectedRow), row
    assert row.failure.code == "invalid_request"
    assert row.failure.stage == "manifest"
    assert not row.failure.retryable
    return row.failure.message


def test_an_empty_row_gets_every_default() -> None:
    row = accepted({})
    assert (row.id, row.prompt, row.content_image, row.style_images) == ("r", "", None, ())
    assert row.parameters == Parameters(seed=derived_seed(0, "r", 1))


def test_null_cells_equal_absent_columns() -> None:
    assert accepted(dict.fromkeys(INPUT_NAMES)) == accepted({})


def test_every_column_reaches_the_row() -> None:
    row = accepted(
        {
            "prompt": "a fox",
            "content_image": "a.png",
            "style_image": "/b.png",
            "extra_style_image": b"bytes",
            "style_images": ["https://h/c.png"],
            "style_weights": [0, 1, "0.5"],
            "width": 512.0,
            "height": "1536",
            "num_steps": 50,
            "guidance": 1,
            "seed": 0,
            "keep_size": True,
            "content_long_size": 0,
            "num_images": 8,
        }
    )
    assert row.prompt == "a fox"
    assert row.content_image == "s3://bucket/set/a.png"
    assert row.style_images == ("/b.png", b"bytes", "https://h/c.png")
    assert row.style_weights == (0.0, 1.0, 0.5)
    assert row.parameters == Parameters(
        width=512,
        height=1536,
        num_steps=50,
        guidance=1.0,
        seed=0,
        keep_size=True,
        content_long_size=0,
        num_images=8,
    )


@pytest.mark.parametrize(
    ("column", "value", "what_is_accepted"),
    [
        ("prompt", 5, "give text"),
        ("content_image", 5, "give a URI, a path, a data: URI, or an image's bytes"),
        ("style_image", b"", "0 bytes is not accepted"),
        ("style_images", ["a"] * 5, "'5 styles' is not accepted; give at most 4 styles in all"),
        ("style_images", [None], "None is not accepted"),
        ("style_weights", [1], "[1.0] is not accepted; give one number for each style, 0 in all"),
        ("style_weights", "[1", "give a JSON list of numbers, such as [1, 0.5]"),
        ("style_weights", [math.nan], "[0]: nan is not accepted; give a finite number"),
        ("style_weights", ["much"], "[0]: 'much' is not accepted; give a number"),
        ("width", 496, "496 is not accepted; give 512 to 1536"),
        ("width", 1552, "give 512 to 1536"),
        ("width", 1000, "give a multiple of 16"),
        ("height", 511, "give 512 to 1536"),
        ("height", "tall", "'tall' is not accepted; give an integer"),
        ("num_steps", 0, "give 1 to 50"),
        ("num_steps", 51, "give 1 to 50"),
        ("guidance", 0.99, "give 1.0 to 5.0"),
        ("guidance", math.nan, "nan is not accepted; give a finite number"),
        ("guidance", math.inf, "inf is not accepted; give a finite number"),
        ("seed", -2, "give -1, or 0 to 2147483647"),
        ("seed", MAX_SEED + 1, "give -1, or 0 to 2147483647"),
        ("keep_size", 2, "give true or false"),
        ("content_long_size", 1025, "give 0 to 1024"),
        ("content_long_size", -1, "give 0 to 1024"),
        ("num_images", 0, "give 1 to 8"),
        ("num_images", 9, "give 1 to 8"),
    ],
)
def test_a_message_names_the_column_the_value_and_the_accepted_values(
    column: str, value: object, what_is_accepted: str
) -> None:
    found = message({column: value})
    assert found.startswith(f"column {column}")
    assert what_is_accepted in found
    assert found in message({"prompt": "x", column: value})


def test_a_message_names_the_users_own_column() -> None:
    columns = {"width": "breadth", "style_images": "looks", "height": "height"}
    found = message({"width": 1}, columns=columns)
    assert found.startswith("column breadth (width): 1 is not accepted")
    found = message({"style_images": ["a", 3]}, columns=columns)
    assert found.startswith("column looks[1] (style_images): 3 is not accepted")
    assert message({"height": 1}, columns=columns).startswith("column height: 1 is not accepted")


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0], "column much (style_weights): [1.0] is not accepted; give one number for each"),
        ([1.0, 2.5], "column much[1] (style_weights): 2.5 is not accepted; give 0.0 to 2.0"),
        ([-1, 1], "column much[0] (style_weights): -1.0 is not accepted; give 0.0 to 2.0"),
    ],
)
def test_each_style_needs_a_weight(weights: list[float], said: str) -> None:
    raw = {"style_image": "a.png", "style_images": ["b.png"], "style_weights": weights}
    row = parse(raw, columns={"style_weights": "much"})
    assert isinstance(row, RejectedRow)
    assert row.failure.message.startswith(said)
    assert row.column == "much"


def test_default_styles_have_weights_too() -> None:
    defaults = {"style_images": ["a.png", "b.png"]}
    assert accepted({"style_weights": [0, 2]}, defaults=defaults).style_weights == (0.0, 2.0)
    assert "2 in all" in message({"style_weights": [1]}, defaults=defaults)


def test_weights_of_one_give_the_same_row_as_no_weights() -> None:
    raw = {"style_image": "a.png"}
    ones = accepted({**raw, "style_weights": [1]})
    assert ones.fingerprint == accepted(raw).fingerprint
    assert ones.fingerprint != accepted({**raw, "style_weights": [0.5]}).fingerprint


def test_a_message_contains_no_credentials() -> None:
    found = message({"width": "https://u:pw@host/?token=secret"})
    assert "pw" not in found
    assert "secret" not in found


def test_the_seed_counts_for_the_last_image_too() -> None:
    assert accepted({"seed": MAX_SEED - 7, "num_images": 8}).parameters.seeds[-1] == MAX_SEED
    assert "seed" in message({"seed": MAX_SEED - 6, "num_images": 8})


def test_a_seed_of_minus_one_is_derived_from_run_and_row() -> None:
    seeds = [
        accepted({"seed": -1}).parameters.seed,
        accepted({}, stylize={"seed": 1}).parameters.seed,
        accepted({}, defaults={"seed": -1}, stylize={"seed": 2}).parameters.seed,
    ]
    assert seeds == [derived_seed(run_seed, "r", 1) for run_seed in range(3)]
    assert len(set(seeds)) == 3


def test_defaults_replace_null_cells() -> None:
    defaults = {
        "prompt": "default",
        "style_images": ["style.png"],
        "content_image": "/c.png",
        "num_steps": 10,
        "guidance": 2,
        "keep_size": True,
        "seed": 7,
        "width": 640,
    }
    row = accepted({"num_steps": None, "width": 512, "prompt": ""}, defaults=defaults)
    assert row.prompt == ""
    assert row.content_image == "/c.png"
    assert row.style_images == ("s3://bucket/set/style.png",)
    numbers = row.parameters
    assert (numbers.num_steps, numbers.guidance, numbers.keep_size) == (10, 2.0, True)
    assert (numbers.seed, numbers.width, numbers.height) == (7, 512, None)


def test_an_empty_list_of_styles_overrides_the_default() -> None:
    assert accepted({"style_images": []}, defaults={"style_images": ["a"]}).style_images == ()


def test_the_model_sets_the_ranges() -> None:
    tiny = ModelCard(name="t", layout="tiny", limits=Limits(min_size=16), fingerprint="t")
    parser = RowParser(config("m.parquet"), tiny, {})
    assert isinstance(parser.parse({"width": 64}, "r", FOLDER), ManifestRow)


@pytest.mark.parametrize(
    ("defaults", "where"),
    [
        ({"width": 100}, "defaults.width"),
        ({"num_steps": 0}, "defaults.num_steps"),
        ({"guidance": 9}, "defaults.guidance"),
        ({"seed": -5}, "defaults.seed"),
        ({"style_images": ["a", ""]}, "defaults.style_images[1]"),
    ],
    ids=["width", "num_steps", "guidance", "seed", "style_images"],
)
def test_an_invalid_default_is_an_error(defaults: dict[str, Any], where: str) -> None:
    with pytest.raises(ManifestError) as caught:
        RowParser(config("m.parquet", defaults=defaults), CARD, {})
    assert caught.value.where == where


def test_a_rejected_row_keeps_its_prompt_and_changes_when_corrected() -> None:
    wrong = parse({"prompt": "a fox", "width": 1})
    other = parse({"prompt": "a fox", "width": 2})
    right = parse({"prompt": "a fox", "width": 512})
    assert isinstance(wrong, RejectedRow)
    assert wrong.prompt == "a fox"
    assert len({wrong.fingerprint, other.fingerprint, right.fingerprint}) == 3
    assert wrong == parse({"prompt": "a fox", "width": 1})


def test_a_prompt_that_cannot_be_stored_is_not_kept() -> None:
    row = parse({"prompt": "\ud800"})
    assert isinstance(row, RejectedRow)
    assert row.prompt is None
    assert row.failure.message == (
        r"column prompt: '\ud800' is not accepted; give text without lone surrogates"
    )


def test_an_unreadable_line_is_named() -> None:
    parser = RowParser(config("m.parquet"), CARD, {})
    row = parser.reject_unreadable(UnreadableRow("m.jsonl line 3", "is not JSON", "{"), "id")
    assert row.failure.message == "m.jsonl line 3: is not JSON"


CELLS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.binary(max_size=10)
    | st.sampled_from(["\ud800", "[", "s3://x/y", "\0", 512, 1024, 4.0, -1]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["bytes", "path", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(INPUT_NAMES), CELLS, max_size=13))
def test_any_cells_give_a_row_within_its_limits(raw: dict[str, Any]) -> None:
    row = parse(raw)
    assert row == parse(raw)
    if isinstance(row, RejectedRow):
        assert row.failure.message.startswith("column ")
        assert len(row.failure.message) < 500
        row.failure.message.encode()
        return
    row.parameters.check(CARD.limits)
    row.prompt.encode()
    assert len(row.style_images) <= CARD.limits.max_styles
    assert all(row.style_images)
