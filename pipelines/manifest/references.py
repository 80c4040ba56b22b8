"""Resolves references against a folder."""

from __future__ import annotations

import os

from pipelines.storage.urls import is_uri


def folder_url(base: str) -> str:
    """Return `base` as a folder for `resolve_reference`: absolute, with a `/` at its end."""
    if "://" not in base:
        base = os.path.abspath(os.path.expanduser(base))
    return base if base.endswith("/") else base + "/"


def resolve_reference(reference: str, folder: str) -> str:
    """Return a reference as an absolute URI or local path.

    A URI, and a path that starts with `/`, are returned unchanged. `~/` is the home folder, unless
    `folder` is in a store. Any other reference is relative to `folder`. Its `.` and `..` are
    resolved; in a URL, `..` stops at the host, bucket or container.

    Args:
        reference: a URI or path, not empty.
        folder: a folder from `folder_url`.
    """
    if reference.startswith("/") or is_uri(reference):
        return reference
    scheme, separator, rest = folder.partition("://")
    if not separator and reference.startswith("~/"):
        return os.path.abspath(os.path.expanduser(reference))
    if not separator:
        return _without_dots(folder + reference)
    host, _, path = rest.partition("/")
    relative, mark, query = reference, "", ""
    if scheme in ("http", "https"):
        relative, mark, query = reference.partition("?")
    return f"{scheme}://{host}{_without_dots(f'/{path}{relative}')}{mark}{query}"


def _without_dots(path: str) -> str:
    """Return an absolute path without `.` and `..`. Empty parts stay: keys on S3 may have them."""
    if "/." not in path:
        return path
    parts = [""]
    for part in path.split("/")[1:]:
        if part == "..":
            parts = parts[:-1] or [""]
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "/"
