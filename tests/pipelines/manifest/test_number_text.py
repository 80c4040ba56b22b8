from __future__ import annotations

import pytest

from pipelines.manifest.number_text import is_integer, is_number

INTEGERS = ("0", "-0", "5", "-5", "9223372036854775807", "-9223372036854775808")
NUMBERS = ("0.5", "-.5", "5.", "1e5", "1E-5", "0.30000000000000004", "0.00012345678901234567")
TEXTS = (
    *("", "-", ".", "e5", "x", "1 2", "1,5", "0x10", "1_000", "٣", "nan", "inf"),
    *("007", "00", "-01", "00.5", "+5", "+49301234", "1e999"),
    *("9223372036854775808", "0.123456789012345678", "12345678901234567890"),
)


@pytest.mark.parametrize("text", [*INTEGERS, *NUMBERS, *TEXTS])
def test_text_that_is_a_number(text: str) -> None:
    assert is_integer(text) == (text in INTEGERS)
    small = text in INTEGERS and len(text) < 18
    assert is_number(text) == (small or text in NUMBERS)
