"""Wishes in the C2PA manifest of an image file, read with c2pa-python (extra `c2pa`)."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Mapping, Sequence

from pipelines.fetch.file_formats import recognised

logger = logging.getLogger(__name__)

UNREAD = "C2PA manifest, not read"
"""Stands for the wish of a file whose manifest cannot be read, because the extra is missing."""

_JUMBF = b"jumb"
_LABEL = b"c2pa"
_ASSERTIONS = ("c2pa.training-mining", "cawg.training-mining")
_PROHIBITED = ("notAllowed", "constrained")
_MOST_PARENTS = 16
_MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
    "GIF": "image/gif",
}
_SETTINGS = {
    "verify": {
        "remote_manifest_fetch": False,  # a file must not choose a URL that is fetched
        "ocsp_fetch": False,
        "verify_after_reading": False,  # no hash of the file: a wish counts whoever has signed it
        "verify_trust": False,
    }
}
_warned = threading.Event()


def has_manifest(data: bytes) -> bool:
    """Return True if a file seems to hold a C2PA manifest."""
    return _JUMBF in data and _LABEL in data


def c2pa_wish(data: bytes) -> str | None:
    """Return the training and mining assertion of a file's manifest, if it prohibits something.

    Neither the signature nor the hashes are checked, and nothing is fetched.

    Args:
        data: the file.

    Returns:
        The assertion and its first entry that prohibits; `UNREAD` without the extra `c2pa`; None
        without a manifest, without such an entry, or if the manifest is damaged.
    """
    mime = _MIME.get(recognised(data) or "")
    if mime is None or not has_manifest(data):
        return None
    try:
        import c2pa  # noqa: PLC0415 (an extra, and 40 MB)
    except ImportError:
        if not _warned.is_set():
            _warned.set()
            logger.warning(
                "references have C2PA manifests, whose wishes are not read; to read them: "
                "pip install 'uso-batch[c2pa]'"
            )
        return UNREAD
    try:
        context = c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))
        with c2pa.Reader(mime, io.BytesIO(data), context=context) as reader:
            found = json.loads(reader.json())
    except (c2pa.C2paError, ValueError) as error:
        logger.debug("c2pa_unread error=%s", error)
        return None
    return _wish_in(found)


def _wish_in(found: object) -> str | None:
    """Return the wish of the active manifest, or else of the image that it was made from.

    An editor writes a new manifest around that of its input, whose owner's wish still holds if the
    new one states nothing of its own.
    """
    manifests = _mapping(_mapping(found).get("manifests"))
    label = _mapping(found).get("active_manifest")
    for _ in range(_MOST_PARENTS):
        manifest = _mapping(manifests.get(str(label)))
        stated = [item for item in _list(manifest.get("assertions")) if _is_mining(item)]
        if stated:
            return next(filter(None, map(_prohibition, stated)), None)
        parents = [
            _mapping(item).get("active_manifest")
            for item in _list(manifest.get("ingredients"))
            if _mapping(item).get("relationship") == "parentOf"
        ]
        if not parents:
            return None
        label = parents[0]  # a manifest has one at most
    return None


def _is_mining(assertion: object) -> bool:
    # A second assertion of one kind has `__1` at its end.
    return str(_mapping(assertion).get("label")).partition("__")[0] in _ASSERTIONS


def _prohibition(assertion: object) -> str | None:
    stated = _mapping(assertion)
    for name, entry in _mapping(_mapping(stated.get("data")).get("entries")).items():
        use = entry if isinstance(entry, str) else _mapping(entry).get("use")
        if use in _PROHIBITED:
            return f"{stated.get('label')} {name} {use}"
    return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
