"""Marks that state a licence or a wish, in headers, in files and beside them."""

from __future__ import annotations

import pytest

from pipelines.fetch.rights.robots import robots_wish
from pipelines.fetch.rights.sidecars import rights_beside, sidecars_of
from tests.pipelines.fetch.rights.test_xmp import xmp


@pytest.mark.parametrize(
    ("values", "wish"),
    [
        (["noai"], "noai"),
        (["noai, noimageai"], "noai, noimageai"),
        (["NoAI"], "noai"),
        (["noindex", "otherbot: noimageai"], "noimageai"),
        (["somebot: noindex, NOAI"], "noai"),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], "noai"),
        (["noindex, nofollow"], None),
        (["noindex;noai", '"noimageai"'], "noai, noimageai"),  # not as the header is defined
        (["noaimage, xnoai, noai-not"], None),
        (["none", "noaibot: noindex", "noai: index"], None),
        ([], None),
    ],
)
def test_directives_of_the_header(values: list[str], wish: str | None) -> None:
    assert robots_wish(values) == (wish and f"X-Robots-Tag: {wish}")


def test_files_beside_a_reference() -> None:
    assert list(sidecars_of("/a/cat.tar#1?.jpg")) == [
        "/a/cat.tar#1?.jpg.license",
        "/a/cat.tar#1?.jpg.LICENSE",
        "/a/cat.tar#1?.jpg.xmp",
        "/a/cat.tar#1?.jpg.XMP",
        "/a/cat.tar#1?.xmp",
        "/a/cat.tar#1?.XMP",
    ]
    assert list(sidecars_of("s3://b/k.png")) == [
        "s3://b/k.png.license",
        "s3://b/k.png.xmp",
        "s3://b/k.xmp",
    ]
    assert list(sidecars_of("s3://b/k?versionId=1")) == []
    text = b"SPDX-FileCopyrightText: 2026 A\nSPDX-License-Identifier: CC-BY-4.0\r\nnoai\n"
    assert rights_beside("/a/cat.jpg.license", text) == ("CC-BY-4.0", "noai in cat.jpg.license")
    wish = "plus:DataMining DMI-PROHIBITED in cat.xmp"
    assert rights_beside("/a/cat.xmp", xmp("DMI-PROHIBITED")) == (None, wish)
    assert rights_beside("/a/cat.XMP", xmp("DMI-PROHIBITED"))[1] == wish.replace("xmp", "XMP")
    assert rights_beside("/a/cat.xmp", b"\xff\xfe nothing") == (None, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_beside_a_reference_has_any_encoding_and_comments(encoding: str) -> None:
    text = (
        "/* SPDX-License-Identifier: MIT */\n"
        "<!-- SPDX-License-Identifier: CC0-1.0 OR 0BSD -->\nnoai"
    )
    found = rights_beside("/a/cat.jpg.LICENSE", text.encode(encoding))
    assert found == ("MIT AND (CC0-1.0 OR 0BSD)", "noai in cat.jpg.LICENSE")
