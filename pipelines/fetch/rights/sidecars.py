"""Files beside a reference that state its licence or a wish.

- `cat.jpg.license`: text, with `SPDX-License-Identifier: …` as the REUSE specification has it
  (https://reuse.software/spec-3.3/), and `noai` or `noimageai` on a line of its own.
- `cat.jpg.xmp`, `cat.xmp`: XMP, as photo editors write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.fetch.rights.robots import robots_wish
from pipelines.fetch.rights.xmp import xmp_licence, xmp_wish
from pipelines.reference_facts import ReferenceRights

_SPDX = re.compile(r"SPDX-License-Identifier:\s*([^\r\n]{1,200})")
_LICENCE = ".license"


def sidecars_of(uri: str) -> Iterator[str]:
    """Yield the URIs of the files that may be beside a reference, without query."""
    if "?" in uri or "#" in uri:
        return
    yield uri + _LICENCE
    yield uri + ".xmp"
    folder, slash, name = uri.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    if dot and stem:
        yield f"{folder}{slash}{stem}.xmp"


def rights_beside(uri: str, data: bytes) -> ReferenceRights:
    """Return what a file beside a reference states; the wish names the file."""
    name = uri.rpartition("/")[2]
    if uri.endswith(_LICENCE):
        text = data.decode("utf-8", "replace")
        found = _SPDX.search(text)
        licence = None if found is None else found.group(1).strip()
        wish = robots_wish(text.splitlines())
        wish = None if wish is None else wish.partition(": ")[2]
    else:
        licence, wish = xmp_licence(data), xmp_wish(data)
    return ReferenceRights(licence, None if wish is None else f"{wish} in {name}")
