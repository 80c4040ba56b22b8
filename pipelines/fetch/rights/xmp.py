"""Licence and wish in the XMP of an image file, found in its bytes without decoding it.

IPTC's property Data Mining is `plus:DataMining`, whose values are terms of the PLUS vocabulary:
https://iptc.org/standards/photo-metadata/ and https://ns.useplus.org/LDF/ldf-XMPSpecification. XMP
is plain text in JPEG, TIFF, WebP, AVIF and HEIC; a PNG may hold it compressed, which Pillow reads
with the image.
"""

from __future__ import annotations

import html
import re

_RDF = b"rdf:RDF"
_TERM = b"ldf/vocab/DMI-"
_PROHIBITED = re.compile(rb"ldf/vocab/(DMI-PROHIBITED[A-Z-]*)")
_PACKET = (b"<x:xmpmeta", b"</x:xmpmeta>")
_LICENCES = tuple(
    re.compile(pattern)
    for name in (rb"cc:license", rb"xmpRights:WebStatement")
    for pattern in (
        rb"<" + name + rb"[^>]{0,200}?rdf:resource=[\"']([^\"'<>]{1,500})[\"']",
        name + rb"=[\"']([^\"'<>]{1,500})[\"']",
        rb"<" + name + rb"[^>]{0,200}>\s*([^<>]{1,500}?)\s*</" + name + rb">",
    )
)
_MOST_PACKET = 2**20
_MOST_TEXT = 200


def has_xmp(data: bytes) -> bool:
    """Return True if a file seems to hold XMP, which is RDF."""
    return _RDF in data


def xmp_wish(data: bytes) -> str | None:
    """Return the wish in XMP within some bytes; None without one.

    Every term that prohibits something counts: a picture that is generated from a reference comes
    nearest to what they are about, and only their owner could say more.

    Args:
        data: a file, or an XMP packet.
    """
    if _TERM not in data:
        return None
    found = _PROHIBITED.search(data)
    return None if found is None else f"plus:DataMining {found.group(1).decode('ascii')}"


def xmp_licence(data: bytes) -> str | None:
    """Return the licence in XMP within some bytes: `cc:license`, else `xmpRights:WebStatement`.

    Args:
        data: a file, or an XMP packet.
    """
    begin = data.find(_PACKET[0])
    if begin < 0:
        return None
    end = data.find(_PACKET[1], begin, begin + _MOST_PACKET)
    packet = data[begin : end if end >= 0 else begin + _MOST_PACKET]
    for pattern in _LICENCES:
        found = pattern.search(packet)
        if found is not None:
            text = html.unescape(found.group(1).decode("utf-8", "replace")).strip()
            if text:
                return " ".join(text.split())[:_MOST_TEXT]
    return None
