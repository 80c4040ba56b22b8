"""Names of image files: from a row to a path in the output, and from a URI back to it.

An image is named after the id of its row, in one of 256 folders of `images/`; or it has a name from
the template `output.name`, in `pictures/`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

from pipelines.name_template import PICTURES

OVERWRITTEN = "run/overwritten"
"""The folder of the notes of images that were replaced; see `pipelines.checks.overwritten`."""

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_RESERVED = re.compile(r"_\d$|-[0-9a-f]{24}$")  # what image_path itself appends to a name
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_BY_ID = re.compile(r"(?:^|/)(images/[0-9a-f]{2}/[^/?#]+)$")
# No part of a name is called like the folder, so the last one is it; see `safe_path`.
_NAMED = re.compile(rf"(?:^|/)({PICTURES}(?:/(?!{PICTURES}/|\.)[^/?#]+)+)$")


def image_path(row_id: str, index: int, count: int, ext: str) -> str:
    """Return the path of one image of a row, relative to the output folder.

    The file is named after the id if that is short, plain and in lower case. Otherwise it is named
    after the readable part of the id and a hash. So no two ids share a file, even on storage that
    ignores case.

    Args:
        row_id: any string.
        index: number of the image within its row, from 0 to 9.
        count: images of the row; the only image of a row has no number in its name.
        ext: extension of the file, without a dot.

    Returns:
        `images/<2 hex digits>/<name>[_<index>].<ext>`.

    Raises:
        ValueError: the index is out of range.
    """
    if not 0 <= index < min(count, 10):
        raise ValueError(f"image {index} of {count}: give an index below the count, and below 10")
    digest = _sha256(row_id)
    name = row_id if _is_plain(row_id) else f"{_readable(row_id)}-{digest[:24]}"
    number = f"_{index}" if count > 1 else ""
    return f"images/{digest[:2]}/{name}{number}.{ext}"


def named_path(name: str, ext: str) -> str:
    """Return the path of an image with a name from `output.name`, relative to the output folder."""
    return f"{PICTURES}/{name}.{ext}"


def path_in_output(uri: str) -> str | None:
    """Return the path of a recorded image within its output; None if it is not such an image.

    Records hold absolute URIs. The end of a URI stays the same when the output is moved or mounted
    elsewhere.
    """
    match = _BY_ID.search(uri) or _NAMED.search(uri)
    return None if match is None else match[1]


def overwrite_note(path: str, sha256: str) -> str:
    """Return the path of the note that an image is about to be replaced by another file.

    Args:
        path: path of the image, relative to the output folder.
        sha256: hash of the new file, in hex.
    """
    return f"{OVERWRITTEN}/{_sha256(path)[:32]}-{sha256}"


def sample_key(path: str) -> str:
    """Return the name of a recorded image without extension and without dots, unique in its output.

    WebDataset's readers cut a key at its first dot, so a name with dots gets a hash instead. Names
    that end in such a hash never come from a plain id (see `image_path`), so it is unique, too. A
    name in a folder of `pictures/` gets a hash as well.
    """
    stem = PurePosixPath(path).stem
    if path.startswith(f"{PICTURES}/"):
        stem = path.removeprefix(f"{PICTURES}/").rpartition(".")[0]
        if "/" in stem or not _PLAIN.fullmatch(stem):
            return f"{_UNSAFE.sub('_', stem).replace('.', '_')[:48]}-{_sha256(stem)[:24]}"
    if "." not in stem:
        return stem
    return f"{stem.replace('.', '_')[:48]}-{_sha256(stem)[:24]}"


def _is_plain(row_id: str) -> bool:
    return _PLAIN.fullmatch(row_id) is not None and _RESERVED.search(row_id) is None


def _readable(row_id: str) -> str:
    return _UNSAFE.sub("_", row_id)[:48].strip("._-") or "row"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
