"""Marks that state a licence or a wish, in headers, in files and beside them."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from pipelines.fetch.rights.c2pa_wish import UNREAD, c2pa_wish
from pipelines.fetch.rights.robots import robots_wish
from pipelines.fetch.rights.sidecars import rights_beside, sidecars_of
from pipelines.fetch.rights.xmp import xmp_licence, xmp_wish
from tests.pipelines.pictures import picture

HERE = Path(__file__).parent


def xmp(term: str = "DMI-PROHIBITED-AIMLTRAINING", extra: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
        f'plus:DataMining="http://ns.useplus.org/ldf/vocab/{term}" {extra}/></rdf:RDF></x:xmpmeta>'
    ).encode()


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
        (["noaimage, xnoai, noai-not"], None),
        ([], None),
    ],
)
def test_directives_of_the_header(values: list[str], wish: str | None) -> None:
    assert robots_wish(values) == (wish and f"X-Robots-Tag: {wish}")


@pytest.mark.parametrize(
    ("term", "counts"),
    [
        ("DMI-PROHIBITED", True),
        ("DMI-PROHIBITED-GENAIMLTRAINING", True),
        ("DMI-PROHIBITED-SEECONSTRAINT", True),
        ("DMI-ALLOWED", False),
        ("DMI-UNSPECIFIED", False),
    ],
)
def test_terms_of_iptc(term: str, counts: bool) -> None:
    assert xmp_wish(b"\xff" * 99 + xmp(term)) == (f"plus:DataMining {term}" if counts else None)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp_is_found_in_files_of_every_kind(kind: str) -> None:
    buffer, packet = io.BytesIO(), xmp()
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        picture().save(buffer, kind, pnginfo=info)
    elif kind == "TIFF":
        picture().save(buffer, kind, tiffinfo={700: packet})
    else:
        picture().save(buffer, kind, xmp=packet)
    assert xmp_wish(buffer.getvalue()) == "plus:DataMining DMI-PROHIBITED-AIMLTRAINING"


@pytest.mark.parametrize(
    ("written", "licence"),
    [
        ('cc:license="https://a.example/by/4.0/"', "https://a.example/by/4.0/"),
        ('xmpRights:WebStatement="https://a.example/x?a=1&amp;b"', "https://a.example/x?a=1&b"),
        ('/><cc:license rdf:resource="CC0"', "CC0"),
        ('/><xmpRights:WebStatement>All  \nrights</xmpRights:WebStatement><a', "All rights"),
        ("", None),
    ],
)  # fmt: skip
def test_licences_in_xmp(written: str, licence: str | None) -> None:
    assert xmp_licence(xmp(extra=written)) == licence


def test_files_beside_a_reference() -> None:
    assert list(sidecars_of("/a/cat.tar.jpg")) == [
        "/a/cat.tar.jpg.license",
        "/a/cat.tar.jpg.xmp",
        "/a/cat.tar.xmp",
    ]
    assert list(sidecars_of("s3://b/k?versionId=1")) == []
    text = b"SPDX-FileCopyrightText: 2026 A\nSPDX-License-Identifier: CC-BY-4.0\r\nnoai\n"
    assert rights_beside("/a/cat.jpg.license", text) == ("CC-BY-4.0", "noai in cat.jpg.license")
    wish = "plus:DataMining DMI-PROHIBITED in cat.xmp"
    assert rights_beside("/a/cat.xmp", xmp("DMI-PROHIBITED")) == (None, wish)
    assert rights_beside("/a/cat.xmp", b"\xff\xfe nothing") == (None, None)


@pytest.mark.parametrize(
    ("name", "wish"),
    [
        ("c2pa_no_inference.jpg", "c2pa.training-mining c2pa.ai_inference notAllowed"),
        ("cawg_constrained.png", "cawg.training-mining cawg.ai_generative_training constrained"),
        ("cawg_allowed.webp", None),
    ],
)
def test_assertions_of_c2pa(name: str, wish: str | None) -> None:
    pytest.importorskip("c2pa")
    assert c2pa_wish((HERE / name).read_bytes()) == wish


def test_without_the_extra_a_manifest_counts_as_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert c2pa_wish((HERE / "cawg_constrained.png").read_bytes()) == UNREAD
    assert c2pa_wish(xmp()) is None


def test_a_damaged_manifest_states_nothing() -> None:
    pytest.importorskip("c2pa")
    data = bytearray((HERE / "c2pa_no_inference.jpg").read_bytes())
    at = data.find(b"jumb")
    data[at + 4 : at + 400] = bytes(396)
    assert c2pa_wish(bytes(data)) is None


def test_a_png_may_hold_xmp_compressed() -> None:
    """Pillow writes it so on request, and photo editors do."""
    buffer, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp().decode(), zip=True)
    picture().save(buffer, "PNG", pnginfo=info)
    data = buffer.getvalue()
    assert xmp_wish(data) is None
    with Image.open(io.BytesIO(data)) as image:
        assert xmp_wish(image.info["xmp"])
