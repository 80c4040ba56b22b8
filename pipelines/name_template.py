"""Templates for the names of images: `{content_stem}__{style_stem}`, filled with values of a row.

A name is a path without an extension. Whatever the values hold, it stays below its folder, and any
file system and store can hold it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from string import Formatter
from typing import Any, NamedTuple
from unicodedata import category, normalize

PICTURES = "pictures"
"""The folder of images with such names, within an output."""

_FOLDERS = "path"  # the format that keeps slashes
_MOST_BYTES = 150  # of one part; file systems take 255, with an extension and a number
_MOST_OF_ALL = 700  # stores take keys of 1,024, with the folder of the output
_UNSAFE = re.compile(r'[<>:"\\|?*#%`${}\[\]\x00-\x1f\x7f]+')
_LIKE_AN_ID = re.compile(r"(^|/)(images)(/[0-9a-f]{2}/[^/]+)$")  # the path of another image
_RESERVED = re.compile(rf"(?:con|prn|aux|nul|com\d|lpt\d|{PICTURES})(?:\.|$)", re.IGNORECASE)


class _Part(NamedTuple):
    literal: str
    field: str | None
    form: str


class NameTemplate:
    """A template of the syntax of `str.format`, without attributes, items and conversions.

    `{column}` is the value as text, with its slashes replaced; `{column:path}` keeps them, as
    folders. `{index:03d}` and `{taken:%Y-%m}` are formats of numbers and dates. Null is empty.

    Args:
        text: the template.

    Raises:
        ValueError: it is not a template, has no field, or names an absolute path.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = tuple(_parts(text))
        self.fields = frozenset(part.field for part in self._parts if part.field is not None)
        if not self.fields:
            raise ValueError(
                f"{text!r} has no field in braces, so all images would share a name; give, for "
                "example, {content_stem}__{style_stem}"
            )

    def fill(self, values: Mapping[str, Any]) -> str:
        """Return the name for the values of a row: one or more parts, joined by slashes.

        Raises:
            ValueError: a value does not fit its format, or the name is empty or too long.
            KeyError: there is no such value.
        """
        filled = "".join(
            part.literal + ("" if part.field is None else _filled(part, values[part.field]))
            for part in self._parts
        )
        name = safe_path(filled)
        if not name:
            raise ValueError(f"{self.text!r} gives an empty name")
        if len(name.encode()) > _MOST_OF_ALL:
            raise ValueError(f"{self.text!r} gives a name of more than {_MOST_OF_ALL} bytes")
        return name


def safe_path(text: str) -> str:
    """Return a relative path that every file system and store can hold; empty if nothing is left.

    Characters that are special in paths, URLs or shells, and invisible ones, become `_`. Parts
    lose spaces and dots around them, so that none is hidden or leads upwards, and empty ones are
    left out. Device names of Windows, and the name of the pictures' own folder, get a `_`.
    """
    path = "/".join(filter(None, map(_safe_part, normalize("NFC", text).split("/"))))
    return _LIKE_AN_ID.sub(r"\1\2_\3", path)


def folded(path: str) -> str:
    """Return a key that is equal for paths that a file system may take for the same."""
    return normalize("NFC", path.casefold())


def _parts(text: str) -> list[_Part]:
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a template: {error}") from error
    if text.startswith("/"):
        raise ValueError(f"{text!r} is an absolute path; names are relative to the output")
    parts = []
    for literal, field, form, conversion in parsed:
        if conversion is not None or "{" in (form or ""):
            raise ValueError(f"{text!r}: write {{{field}}} or {{{field}:FORMAT}}")
        if field == "":
            raise ValueError(f"{text!r}: {{}} has no name")
        parts.append(_Part(literal, field, form or ""))
    return parts


def _filled(part: _Part, value: Any) -> str:  # noqa: ANN401 (whatever a cell holds)
    if value is None:
        return ""
    if part.form == _FOLDERS:
        return str(value)
    form = part.form
    if not form and isinstance(value, datetime):
        form = "%Y-%m-%dT%H-%M-%S"
    try:
        text = format(value, form)
    except (ValueError, TypeError) as error:
        kind = type(value).__name__
        raise ValueError(
            f"{{{part.field}:{part.form}}} does not fit a value of type {kind}: {error}"
        ) from error
    return text.replace("/", "_")


def _safe_part(text: str) -> str:
    plain = "".join(map(_visible, _UNSAFE.sub("_", text))).strip(" .")
    if _RESERVED.match(plain):
        head, dot, rest = plain.partition(".")
        plain = f"{head}_{dot}{rest}"
    if len(plain.encode()) <= _MOST_BYTES:
        return plain
    digest = blake2b(plain.encode(), digest_size=6).hexdigest()
    cut = plain.encode()[: _MOST_BYTES - 1 - len(digest)].decode(errors="ignore")
    return f"{cut.rstrip(' .')}-{digest}"


def _visible(character: str) -> str:
    if character.isascii():
        return character
    kind = category(character)
    if kind.startswith("Z"):
        return " "
    return "_" if kind.startswith("C") else character
