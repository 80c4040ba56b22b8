"""Numbers for people."""

from __future__ import annotations

import pytest

from pipelines.tools.compare.figures import number, share, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (0.12345, "0.123"),
        (-0.5, "-0.500"),
        (0.00012, "1.2e-04"),
        (1.23456, "1.235"),
        (45.678, "45.68"),
        (9999.4, "9,999"),
        (1234567.0, "1,234,567"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_signs_and_shares() -> None:
    assert (signed(0.5), signed(-0.5), signed(0)) == ("+0.500", "-0.500", "0.000")
    texts = {0: "0 %", 1: "100 %", 0.5: "50 %", 0.001: "< 1 %", 0.999: "> 99 %"}
    assert {value: share(value) for value in texts} == texts
