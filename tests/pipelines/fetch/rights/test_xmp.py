"""Licences and wishes in XMP, in files of every kind."""

from __future__ import annotations

import hashlib
import io
import struct
import time
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import PngImagePlugin

from pipelines.fetch.fetched import Fetched
from pipelines.fetch.rights.xmp import xmp_rights
from tests.pipelines.pictures import encode, picture

WISH = "plus:DataMining DMI-PROHIBITED-AIMLTRAINING"
URL = "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"
PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
ZEROS = b"XML:com.adobe.xmp\0\0" + zlib.compress(bytes(2**23))
BOMB = struct.pack(">I", len(ZEROS)) + b"zTXt" + ZEROS + b"\0\0\0\0"


def xmp(term: str = "DMI-PROHIBITED-AIMLTRAINING", extra: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
        f'plus:DataMining="http://ns.useplus.org/ldf/vocab/{term}" {extra}/></rdf:RDF></x:xmpmeta>'
    ).encode()


def described(inside: str) -> bytes:
    """XMP with elements in its description, in which all prefixes are declared."""
    return (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'rdf:about="" xmlns:plus="{PLUS}">{inside}</rdf:Description></rdf:RDF>'
    ).encode()


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
    found = xmp_rights(b"\xff" * 99 + xmp(term)).wish
    assert found == (f"plus:DataMining {term}" if counts else None)


@pytest.mark.parametrize(
    ("inside", "counts"),
    [
        (f"<plus:DataMining>\n  {URL}\n</plus:DataMining>", True),
        (f'<plus:DataMining rdf:resource="{URL}"/>', True),
        (f"<plus:DataMining><rdf:Bag><rdf:li>{URL}</rdf:li></rdf:Bag></plus:DataMining>", True),
        (f'<plus:DataMining rdf:parseType="Resource"><rdf:value>{URL}</rdf:value>'
         "</plus:DataMining>", True),
        (f'<p:DataMining xmlns:p="{PLUS}">{URL}</p:DataMining>', True),
        (f'<DataMining xmlns="{PLUS}">{URL}</DataMining>', True),
        (f"<plus:DataMining>{URL.replace('-', '&#45;')}</plus:DataMining>", True),
        (f"<plus:DataMining><![CDATA[{URL}]]></plus:DataMining>", True),
        (f"<plus:DataMining>{URL.lower()}</plus:DataMining>", True),
        ("<plus:DataMining>DMI-PROHIBITED-AIMLTRAINING</plus:DataMining>", True),
        (f"<plus:DataMining>{URL}</plus:DataMining><broken>&nothing;", True),
        (f"<!-- <plus:DataMining>{URL}</plus:DataMining> -->", False),
        (f'<q:DataMining xmlns:q="urn:other">{URL}</q:DataMining>', False),
        ("<plus:Note>set DataMining to DMI-PROHIBITED</plus:Note>", False),
    ],
)  # fmt: skip
def test_ways_to_write_a_wish(inside: str, counts: bool) -> None:
    assert xmp_rights(described(inside)).wish == (WISH if counts else None)


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
    assert xmp_rights(xmp(extra=written)).licence == licence


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-16", "utf-32"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF"])
def test_xmp_is_found_in_files_of_every_kind(kind: str, encoding: str) -> None:
    buffer, packet = io.BytesIO(), xmp(extra='xmpRights:WebStatement="über"').decode()
    data = packet.encode(encoding)
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + data)
        picture().save(buffer, kind, pnginfo=info)
    elif kind == "TIFF":
        picture().save(buffer, kind, tiffinfo={700: data})
    elif kind == "GIF":
        picture().save(buffer, kind)
        buffer.seek(-1, io.SEEK_END)
        buffer.write(b"\x21\xff\x0bXMP DataXMP" + data + b"\1" + bytes(range(255, -1, -1)) + b"\0;")
    else:
        picture().save(buffer, kind, xmp=data)
    assert xmp_rights(buffer.getvalue()) == ("über", WISH)


def as_profile(name: bytes, data: bytes) -> bytes:
    """A profile as ImageMagick writes it into text chunks."""
    return b"\n%s\n%8d\n%s\n" % (name, len(data), data.hex().encode())


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp())),
        (b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(xmp())),
        (b"tEXt", b"Raw profile type xmp\0" + as_profile(b"xmp", xmp())),
        (b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(as_profile(b"xmp", xmp()))),
        (b"zTXt", b"Raw profile type APP1\0\0"
         + zlib.compress(as_profile(b"APP1", XMP_HEAD + xmp().decode().encode("utf-16-be")))),
    ],
)  # fmt: skip
def test_a_png_may_hold_xmp_compressed_or_as_digits(kind: bytes, body: bytes) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "of another kind", zip=True)
    info.add(kind, body)
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", pnginfo=info)
    assert xmp_rights(buffer.getvalue()).wish == WISH


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_jpeg_may_cut_xmp_into_segments_within_the_mark(order: tuple[int, ...]) -> None:
    whole = described(f"<!--{'x' * 900}--><plus:DataMining>{URL}</plus:DataMining>")
    cuts = [0, whole.index(b"DataMining") + 4, whole.index(b"PROHIBITED") + 3, len(whole)]
    guid = hashlib.md5(whole).hexdigest().upper().encode()
    pieces = [
        b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">II", len(whole), begin)
        + whole[begin:end]
        for begin, end in pairwise(cuts)
    ]  # fmt: skip
    segments = b"".join(
        b"\xff\xff\xe1" + struct.pack(">H", len(pieces[at]) + 2) + pieces[at] for at in order
    )
    data = encode(picture(), "JPEG")
    assert xmp_rights(data[:2] + segments + data[2:]).wish == WISH


@pytest.mark.parametrize(
    "data",
    [
        b"<rdf:RDF" * 2**18,
        b"<rdf:RDF></rdf:RDF>" * 2**17,
        "<rdf:RDF".encode("utf-16") * 2**17,
        PNG_HEAD + BOMB * 200,
        PNG_HEAD + b"\xff\xff\xff\xffzTXt",
        b"\xff\xd8" + b"\xff\xe1\0\0http://ns.adobe.com/xmp/extension/\0" * 2**15,
    ],
)  # fmt: skip
def test_hostile_files_take_bounded_time(data: bytes) -> None:
    began = time.process_time()
    assert xmp_rights(data) == (None, None)
    assert time.process_time() - began < 5


SEGMENT = b"\xff\xe1"


@given(
    st.lists(st.sampled_from(["xmp", "licence", "exif"]), max_size=3),
    st.lists(st.sampled_from(["xmp", "licence", "image"]), max_size=3),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-be"]),
)
def test_without_its_pixels_a_jpeg_says_the_same(
    before: list[str], after: list[str], encoding: str
) -> None:
    licence = xmp("DMI-ALLOWED", 'xmpRights:WebStatement="https://a.test/l"')
    parts = {
        "xmp": xmp().decode().encode(encoding),
        "licence": licence.decode().encode(encoding),
        "exif": b"Exif\0\0II*\0",
        "image": encode(picture(), "JPEG"),
    }
    data = encode(picture(), "JPEG")
    segments = [XMP_HEAD + parts[name] for name in before]
    head = b"".join(SEGMENT + struct.pack(">H", len(one) + 2) + one for one in segments)
    whole = Fetched(data[:2] + head + data[2:] + b"".join(parts[name] for name in after))
    assert whole.is_plain_jpeg
    assert xmp_rights(whole.without_pixels) == xmp_rights(whole.data)
    assert (xmp_rights(whole.data).wish is None) == ("xmp" not in before + after)
