"""Licence and wish in the XMP of an image file, found in its bytes without decoding it.

IPTC's property Data Mining is `plus:DataMining`, whose values are terms of the PLUS vocabulary:
https://iptc.org/standards/photo-metadata/ and https://ns.useplus.org/LDF/ldf-XMPSpecification.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from pipelines.fetch.rights.packets import packets_in
from pipelines.reference_facts import ReferenceRights

_MINING = ("http://ns.useplus.org/ldf/xmp/1.0/", "DataMining")
_LICENCES = (
    ("http://creativecommons.org/ns#", "license"),
    ("http://ns.adobe.com/xap/1.0/rights/", "WebStatement"),
)
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_VALUES = ((_RDF, "resource"), (_RDF, "value"))
# The element is read alone, and a prefix may be declared around it.
_USUAL = {
    "rdf": _RDF,
    "plus": _MINING[0],
    "cc": _LICENCES[0][0],
    "xmpRights": _LICENCES[1][0],
}
_PROHIBITED = re.compile(r"(?:^|[/:#\s])(DMI-PROHIBITED[A-Z-]*)", re.IGNORECASE)
_TERM = re.compile(r"ldf/vocab/(DMI-PROHIBITED[A-Z-]*)", re.IGNORECASE)
_MOST_TEXT = 200
_Name = tuple[str, str]


def xmp_rights(data: bytes) -> ReferenceRights:
    """Return licence and wish in the XMP of a file: for each, the first that is found.

    The licence is `cc:license`, else `xmpRights:WebStatement`. Every term that prohibits something
    is a wish: a picture that is generated from a reference comes nearest to what they are about,
    and only their owner could say more.

    Args:
        data: an image file, or a file of XMP.
    """
    licences: dict[_Name, str] = {}
    wish = None
    for packet in packets_in(data):
        reading = _Reading(packet)
        for name, text in reading.found:
            if name == _MINING:
                wish = wish or _wish_in(_PROHIBITED, text)
            else:
                licences.setdefault(name, text)
        if reading.broken:
            wish = wish or _wish_in(_TERM, packet)
    licence = next((licences[name] for name in _LICENCES if name in licences), None)
    return ReferenceRights(licence, wish)


def _wish_in(term: re.Pattern[str], text: str) -> str | None:
    found = term.search(text)
    return None if found is None else f"plus:DataMining {found.group(1).upper()}"


class _Reading:
    """The properties of one packet, also of one that is cut short.

    Attributes:
        found: names and texts of the properties that matter, in order.
        broken: True if the packet is not XML to its end.
    """

    def __init__(self, packet: str) -> None:
        self.found: list[tuple[_Name, str]] = []
        self.broken = False
        self._prefixes = dict(_USUAL)
        self._open: list[_Name] = []
        self._text: list[str] = []
        self._within: _Name | None = None
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(packet, True)
        except expat.ExpatError:
            self.broken = True

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            if name == "xmlns" or name.startswith("xmlns:"):
                self._prefixes[name.partition(":")[2]] = value
        element = self._name(tag)
        self._open.append(element)
        if self._within is None and _matters(element):
            self._within = element
        for name, value in attributes.items():
            if ":" not in name or name.startswith("xmlns:"):
                continue
            qualified = self._name(name)
            if _matters(qualified):
                self._note(qualified, value)
            elif self._within is not None and qualified in _VALUES:
                self._note(self._within, value)

    def _end(self, _tag: str) -> None:
        element = self._open.pop()
        if element == self._within and element not in self._open:
            self._note(element, "".join(self._text))
            self._within, self._text = None, []

    def _characters(self, text: str) -> None:
        if self._within is not None:
            self._text.append(text)

    def _note(self, name: _Name, value: str) -> None:
        text = " ".join(value.split())[:_MOST_TEXT]
        if text:
            self.found.append((name, text))

    def _name(self, tag: str) -> _Name:
        prefix, colon, local = tag.rpartition(":")
        return self._prefixes.get(prefix if colon else "", ""), local


def _matters(name: _Name) -> bool:
    return name == _MINING or name in _LICENCES
