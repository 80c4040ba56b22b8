"""Links from the page to pictures; they stay valid when the folder is moved or published."""

from __future__ import annotations

import os.path
import posixpath
import re
from urllib.parse import quote, unquote, urlsplit

_HTTP = re.compile("https?:", re.IGNORECASE | re.ASCII)
_BLANK = re.compile("[\x00-\x20]")


def link(folder: str, target: str) -> str | None:
    """Return a relative link from a page in `folder` to `target`; None if there is no such link.

    Args:
        folder: absolute path or URL of the page's folder, as `Storage.uri` returns it.
        target: absolute path or URL of the target.
    """
    if "://" not in folder and "://" not in target:
        return quote(os.path.relpath(target, folder).replace(os.sep, "/"))
    root, path = _root_and_path(folder)
    target_root, target_path = _root_and_path(target)
    return quote(posixpath.relpath(target_path, path)) if target_root == root else None


def public_link(uri: str | None) -> str | None:
    """Return `uri` if it is an http(s) URL, which is safe as a link; else None."""
    if uri is None or not _HTTP.match(uri) or _BLANK.search(uri):
        return None
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    return uri if parts.netloc else None


def short_name(uri: str) -> str:
    """Return a short name of a reference: the last part of its path."""
    if uri.startswith("sha256:"):
        return f"inline {uri[7:15]}"
    is_url = "://" in uri
    try:
        path = urlsplit(uri).path if is_url else uri
    except ValueError:
        path = uri
    name = path.rstrip("/").rpartition("/")[2]
    return (unquote(name) if is_url else name) or uri


def _root_and_path(url: str) -> tuple[str, str]:
    """Split an object URL into scheme and bucket, and the path; `?` and `#` are part of names."""
    scheme, _, rest = url.partition("://")
    bucket, _, path = rest.partition("/")
    return f"{scheme}://{bucket}", f"/{path}"
