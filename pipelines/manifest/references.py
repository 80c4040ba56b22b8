"""References as rows write them → absolute URIs, absolute local paths, or bytes."""

from __future__ import annotations

import os

from pipelines.storage.urls import is_uri


def folder_url(base: str) -> str:
    """`base` as the folder that references are resolved against: absolute, ending with `/`."""
    if "://" not in base:
        base = os.path.abspath(os.path.expanduser(base))
    return base if base.endswith("/") else base + "/"


def resolve_reference(reference: str, folder: str) -> str:
    """`reference` as an absolute URI or local path.

    A URI, and a path that starts with `/`, stay as they are written; everything else is relative to
    `folder`, and its `.` and `..` are worked out. Within a URL they do not lead above its host,
    bucket or container.

    Args:
        reference: not empty.
        folder: as `folder_url` gives it.
    """
    if reference.startswith("/") or is_uri(reference):
        return reference
    scheme, separator, rest = folder.partition("://")
    if not separator:
        return _without_dots(folder + reference)
    host, _, path = rest.partition("/")
    relative, mark, query = reference, "", ""
    if scheme in ("http", "https"):
        relative, mark, query = reference.partition("?")
    return f"{scheme}://{host}{_without_dots(f'/{path}{relative}')}{mark}{query}"


def _without_dots(path: str) -> str:
    """An absolute path without `.` and `..`; empty parts stay, since a key on S3 may have them."""
    if "/." not in path:
        return path
    parts = [""]
    for part in path.split("/")[1:]:
        if part == "..":
            parts = parts[:-1] or [""]
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "/"
