from __future__ import annotations

import pytest

from pipelines.display import display_value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"x" * 12345, "12,345 bytes"),
        ("https://user:pw@host/a.png?X-Amz-Signature=abc&v=1", "'https://host/a.png?v=1'"),
        (["https://me:pw@host/a"], "['https://host/a']"),
        ({"url": ("https://host/a?token=abc",)}, "{'url': ('https://host/a',)}"),
        ('["https://h/a", "https://me:pw@h/b"]', """'["https://h/a", "https://h/b"]'"""),
        (f"https://me:{'x' * 5000}@host/a", "'https://host/a'"),
        ("\x1b[31mred\n", r"'\x1b[31mred\n'"),
        (None, "None"),
        (2.5, "2.5"),
    ],
)
def test_values_in_messages(value: object, shown: str) -> None:
    assert display_value(value) == shown


@pytest.mark.parametrize("value", ["x" * 10**6, list(range(10**5)), 10**4000, {"a": "x" * 9999}])
def test_values_in_messages_are_short(value: object) -> None:
    assert len(display_value(value)) < 200
