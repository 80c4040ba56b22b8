from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tools.report.values import number, shown, to_json, visible


def test_control_characters_are_escaped_and_line_breaks_kept() -> None:
    assert visible("a\x1b[31m\x00b\u202ec\nd\te") == "a\\x1b[31m\\x00b\\u202ec\nd\te"


def test_long_texts_are_cut() -> None:
    assert visible("x" * 50, 10) == "x" * 10 + "…"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2**60, str(2**60)),
        (0.5, 0.5),
        (float("nan"), "nan"),
        (b"1234", "4 bytes"),
        (["a", {"b": b"12"}], '["a", {"b": "2 bytes"}]'),
        (Decimal("1.50"), "1.50"),
    ],
)
def test_values_for_the_browser(value: object, expected: object) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, 2.0),
        (Decimal("0.25"), 0.25),
        (True, None),
        (float("inf"), None),
        ("x", None),
        (None, None),
    ],
)
def test_numbers(value: object, expected: float | None) -> None:
    assert number(value) == expected


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_is_safe_in_html_and_scripts_and_keeps_its_meaning(value: Any) -> None:
    text = to_json(value)
    assert text.isascii()
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value
