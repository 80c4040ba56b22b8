"""Files beside a reference that state its licence or a wish.

- `cat.jpg.license`: text, with `SPDX-License-Identifier: …` as the REUSE specification has it
  (https://reuse.software/spec-3.3/), and `noai` or `noimageai` on a line of its own.
- `cat.jpg.xmp`, `cat.xmp`: XMP, as photo editors write it.

The endings may be in upper case, as cameras and old programs write them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from pipelines.fetch.rights.robots import robots_wish
from pipelines.fetch.rights.xmp import xmp_rights
from pipelines.reference_facts import ReferenceRights
from pipelines.storage.urls import is_uri

_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]{1,200})")
_COMMENT_END = re.compile(r"\s*(?:-->|\*/|#\}|--%>|\*\))?\s*$")
_LICENCE = ".license"
_XMP = ".xmp"
_MARKS = (  # UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MOST_TEXT = 200


def sidecars_of(uri: str) -> Iterator[str]:
    """Yield the URIs of the files that may be beside a reference, in order.

    A URI with a query or a fragment has none; in a path, `?` and `#` are part of the name. Both
    cases of an ending are worth a look beside local files, which costs no request.
    """
    is_path = not is_uri(uri)
    if not is_path and ("?" in uri or "#" in uri):
        return
    folder, slash, name = uri.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    paths = [uri + _LICENCE, uri + _XMP]
    if dot and stem:
        paths.append(f"{folder}{slash}{stem}{_XMP}")
    for path in paths:
        yield path
        if is_path or uri[:5].lower() == "file:":
            base, _, ending = path.rpartition(".")
            yield f"{base}.{ending.upper()}"


def rights_beside(uri: str, data: bytes) -> ReferenceRights:
    """Return what a file beside a reference states; the wish names the file."""
    name = uri.rpartition("/")[2]
    if not name.lower().endswith(_LICENCE):
        licence, wish = xmp_rights(data)
        return ReferenceRights(licence, None if wish is None else f"{wish} in {name}")
    text = _decoded(data)
    licence = _licence_in(text)
    wish = robots_wish(text.splitlines())
    return ReferenceRights(
        licence, None if wish is None else f"{wish.partition(': ')[2]} in {name}"
    )


def _decoded(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def _licence_in(text: str) -> str | None:
    """Return the SPDX expression of a file; several ones hold together."""
    found = (_COMMENT_END.sub("", match) for match in _SPDX.findall(text))
    several = list(dict.fromkeys(filter(None, found)))
    if len(several) < 2:
        return several[0] if several else None
    joined = " AND ".join(f"({one})" if " OR " in one.upper() else one for one in several)
    return joined[:_MOST_TEXT]
