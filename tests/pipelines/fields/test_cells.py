from __future__ import annotations

import math
import uuid
from decimal import Decimal
from typing import Any

import pytest

from pipelines.fields import cells
from uso_core.errors import InvalidRequestError

NOT_NUMBERS: list[object] = [
    "",
    "abc",
    "1,000",
    "0x10",
    "1_000",
    "٣",
    None,
    [],
    {},
    b"1",
    True,
    False,
    "nan",
]


def shown(value: object) -> str:
    return ascii(value)[:60]


@pytest.mark.parametrize(
    "value", [25, 25.0, "25", " 25 ", "25.0", "2.5e1", Decimal("25.00")], ids=shown
)
def test_integers_in_any_type_that_holds_them(value: object) -> None:
    found = cells.integer("num_steps", value)
    assert found == 25
    assert type(found) is int


@pytest.mark.parametrize(
    "value", [*NOT_NUMBERS, 2.5, "2.5", math.nan, math.inf, Decimal("NaN"), 1e-9], ids=shown
)
def test_values_that_are_not_integers(value: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cells.integer("num_steps", value)
    assert caught.value.field == "num_steps"
    assert caught.value.accepted == "an integer"


@pytest.mark.parametrize("value", [4, 4.0, "4", "4.0", "4e0", Decimal(4)], ids=shown)
def test_numbers_in_any_type(value: object) -> None:
    found = cells.number("guidance", value)
    assert found == 4.0
    assert type(found) is float


@pytest.mark.parametrize("value", [*NOT_NUMBERS, math.nan, -math.inf, 10**400, "1e999"], ids=shown)
def test_values_that_are_not_numbers(value: object) -> None:
    with pytest.raises(InvalidRequestError):
        cells.number("guidance", value)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (None, None),
        ("", None),
        ([], []),
        ([1, 0.5, Decimal("0.25"), "2"], [1.0, 0.5, 0.25, 2.0]),
        (" [1, 0.5]", [1.0, 0.5]),
        ("[]", []),
        (0.5, [0.5]),
        ("0.5", [0.5]),
    ],
    ids=shown,
)
def test_lists_of_numbers(value: object, meant: list[float] | None) -> None:
    assert cells.numbers("style_weights", value) == meant


@pytest.mark.parametrize(
    ("value", "field", "accepted"),
    [
        ("[1,", "style_weights", "a JSON list of numbers, such as [1, 0.5]"),
        ("[" * 100_000, "style_weights", "a JSON list of numbers, such as [1, 0.5]"),
        ([1, None], "style_weights[1]", "a number"),
        ([True], "style_weights[0]", "a number"),
        ("[1, NaN]", "style_weights[1]", "a finite number"),
        ([[1]], "style_weights[0]", "a number"),
        ({"a": 1}, "style_weights[0]", "a number"),
        (b"1", "style_weights[0]", "a number"),
        ("much", "style_weights[0]", "a number"),
    ],
    ids=shown,
)
def test_values_that_are_not_lists_of_numbers(value: object, field: str, accepted: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cells.numbers("style_weights", value)
    assert (caught.value.field, caught.value.accepted) == (field, accepted)


@pytest.mark.parametrize(
    ("value", "meant"),
    [(True, True), (False, False), (1, True), (0, False), ("TRUE", True), (" false", False)],
    ids=shown,
)
def test_booleans(value: object, meant: bool) -> None:
    assert cells.boolean("keep_size", value) is meant


@pytest.mark.parametrize("value", [2, 1.0, "yes", "", None, math.nan, [True]], ids=shown)
def test_values_that_are_not_booleans(value: object) -> None:
    with pytest.raises(InvalidRequestError, match="true or false"):
        cells.boolean("keep_size", value)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("a", "a"),
        ("../../x", "../../x"),
        ("é" * 256, "é" * 256),
        (7, "7"),
        (-7, "-7"),
        (7.0, "7"),
        (b"abc", "abc"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
    ids=shown,
)
def test_ids(value: object, meant: str) -> None:
    assert cells.identifier(value) == meant


@pytest.mark.parametrize(
    "value", ["", "x" * 257, 1.5, True, math.nan, [], b"\xff", "\ud800"], ids=shown
)
def test_values_that_are_not_ids(value: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cells.identifier(value)
    assert caught.value.field == "id"


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("a.png", "a.png"),
        (b"\x89PNG", b"\x89PNG"),
        ({"bytes": b"\x89PNG", "path": "a.png"}, b"\x89PNG"),
        ({"bytes": None, "path": "a.png"}, "a.png"),
        ({"path": "a.png"}, "a.png"),
        ({"bytes": None, "path": None}, None),
        (None, None),
        ("", None),
    ],
    ids=shown,
)
def test_references(value: object, meant: object) -> None:
    assert cells.reference("content_image", value) == meant


@pytest.mark.parametrize(
    "value", [b"", 3, ["a.png"], {"url": "a.png"}, "a\0.png", "\udcff.png"], ids=shown
)
def test_values_that_are_not_references(value: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cells.reference("content_image", value)
    assert caught.value.field == "content_image"


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (None, []),
        ("", []),
        ([], []),
        (["a.png", b"x"], ["a.png", b"x"]),
        ("a.png", ["a.png"]),
        ('["a.png", "b.png"]', ["a.png", "b.png"]),
        ([{"bytes": b"x", "path": None}, {"bytes": None, "path": "a"}], [b"x", "a"]),
    ],
    ids=shown,
)
def test_lists_of_references(value: object, meant: list[Any]) -> None:
    assert cells.references("style_images", value) == meant


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (["a.png", None], "style_images[1]"),
        (["a.png", ""], "style_images[1]"),
        ([3], "style_images[0]"),
        ("[1", "style_images"),
        ("[" * 100_000, "style_images"),
        (3, "style_images[0]"),
    ],
    ids=shown,
)
def test_values_that_are_not_lists_of_references(value: object, field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cells.references("style_images", value)
    assert caught.value.field == field


def test_text_may_be_stored_as_bytes() -> None:
    assert cells.text("prompt", "Käfer".encode()) == "Käfer"
    for value in (b"\xff\xfe", 3, "\ud800", cells.UnreadableCell("text that is not UTF-8")):
        with pytest.raises(InvalidRequestError):
            cells.text("prompt", value)
