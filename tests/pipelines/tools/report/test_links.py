from __future__ import annotations

import pytest

from pipelines.tools.report.links import link, public_link, short_name


@pytest.mark.parametrize(
    ("folder", "target", "expected"),
    [
        ("/runs/a/report", "/runs/a", ".."),
        ("/runs/a/report", "/runs/b #1", "../../b%20%231"),
        ("s3://bucket/a/report", "s3://bucket/a", ".."),
        ("s3://bucket/report", "s3://bucket", ".."),
        ("s3://bucket/a #1?/report", "s3://bucket/a #1?", ".."),
        ("s3://bucket/report", "s3://bucket/a#1", "../a%231"),
        ("s3://bucket/a/report", "s3://other/a", None),
        ("/elsewhere", "s3://bucket/a", None),
        ("/runs/report", "/runs/javascript:alert(1)", "../javascript%3Aalert%281%29"),
    ],
)
def test_links_are_relative_or_none(folder: str, target: str, expected: str | None) -> None:
    assert link(folder, target) == expected


@pytest.mark.parametrize(
    ("uri", "is_link"),
    [
        ("https://example.com/a.png?b=c", True),
        ("HTTP://example.com/", True),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("data:text/html,<script>alert(1)</script>", False),
        ("file:///etc/passwd", False),
        ("https:///no-host", False),
        ("http://[broken", False),
        (None, False),
    ],
)
def test_only_web_addresses_become_links(uri: str | None, is_link: bool) -> None:
    assert public_link(uri) == (uri if is_link else None)


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("/photos/cat.jpg", "cat.jpg"),
        ("/photos/50%25.jpg", "50%25.jpg"),
        ("s3://b/p/The%20Cat.jpg?x=1", "The Cat.jpg"),
        ("sha256:0123456789abcdef", "inline 01234567"),
        ("http://[broken/x", "x"),
        ("https://host", "https://host"),
    ],
)
def test_short_names(uri: str, name: str) -> None:
    assert short_name(uri) == name
