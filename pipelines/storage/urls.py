"""URLs without credentials, for what is shown; options with secrets, for what is used."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:", re.ASCII)
_BARE_SCHEMES = ("data:", "file:")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_WORDS = ("signature", "token", "secret", "password", "passwd", "credential", "apikey")
_SECRET_NAMES = frozenset({"sig", "key", "pwd", "auth", "awsaccesskeyid", "googleaccessid"})
_SECRET_PREFIXES = ("x-amz-", "x-goog-", "x-oss-")
# In these the part before the @ names a container.
_CONTAINER_SCHEMES = frozenset({"abfs", "abfss", "wasb", "wasbs"})


def is_uri(reference: str) -> bool:
    """Whether `reference` names its scheme (`s3://…`, `data:…`)."""
    if "://" in reference and _SCHEME.match(reference):
        return True
    return reference[:5].lower() in _BARE_SCHEMES


def redact_uri(uri: str) -> str:
    """`uri` without `user:password@` and without signature or credential query parameters.

    Everything else stays as it is written; it never raises, whatever the string.
    """
    return "::".join(_public_link(link) for link in uri.split("::"))


def resolve_secrets(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`options` with each `${NAME}` in its strings replaced by that environment variable.

    Raises:
        ValueError: a variable is not set; the message names it and the key that wants it.
    """
    return {
        protocol: {
            name: resolve_variables(value, f"storage.{protocol}.{name}")
            for name, value in own.items()
        }
        for protocol, own in options.items()
    }


def resolve_variables(value: Any, key: str) -> Any:  # noqa: ANN401 (whatever a key may hold)
    """`value` with each `${NAME}` in its strings replaced by that environment variable.

    Args:
        value: of a key of the configuration.
        key: its name, for the message.

    Raises:
        ValueError: a variable is not set; the message names it and the key that wants it.
    """
    if isinstance(value, Mapping):
        return {name: resolve_variables(inner, f"{key}.{name}") for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve_variables(inner, f"{key}[{index}]") for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ValueError(f"{key}: the environment variable {name} is not set; export {name}=…")
        return os.environ[name]

    return _VARIABLE.sub(variable, value)


def _public_link(link: str) -> str:
    scheme, separator, rest = link.partition("://")
    if not separator or scheme == "file":
        return link
    end = re.search(r"[/?#]", rest)
    authority, tail = (rest, "") if end is None else (rest[: end.start()], rest[end.start() :])
    user, at, host = authority.rpartition("@")
    if at and not (scheme.lower() in _CONTAINER_SCHEMES and ":" not in user):
        authority = host
    return f"{scheme}://{authority}{_public_query(tail)}"


def _public_query(tail: str) -> str:
    before, mark, query = tail.partition("?")
    if not mark:
        return tail
    query, fragment_mark, fragment = query.partition("#")
    kept = [item for item in query.split("&") if not _is_secret(item.partition("=")[0])]
    query = f"?{'&'.join(kept)}" if any(kept) else ""
    return f"{before}{query}{fragment_mark}{fragment}"


def _is_secret(name: str) -> bool:
    name = name.lower()
    plain = name.replace("_", "").replace("-", "")
    return (
        name.startswith(_SECRET_PREFIXES)
        or plain in _SECRET_NAMES
        or any(word in plain for word in _SECRET_WORDS)
    )
