"""A configuration without its secrets, to be shown and stored."""

from __future__ import annotations

from typing import Any

from pipelines.config.harmless_keys import is_harmless_key
from pipelines.config.http import is_public_setting
from pipelines.config.key_paths import SIGNING_KEY, KeyPath, is_secret
from pipelines.config.schema import RunConfig
from pipelines.config.variables import is_variable
from pipelines.display import display_reference, display_value
from pipelines.storage.urls import redact_uri

MASK = "***"


def redacted(config: RunConfig) -> dict[str, Any]:
    """Return `config` as JSON values, without secrets.

    In `SECRET_SECTIONS`, a value is masked unless it is a `${NAME}` or its key is harmless, such as
    an endpoint or a region. Everywhere, URLs lose credentials and signatures, and a `data:` URI is
    replaced by the hash of its image.
    """
    shown = _redacted((), config.model_dump())
    assert isinstance(shown, dict)
    return shown


def _redacted(path: KeyPath, value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if isinstance(value, dict):
        return {key: _redacted((*path, key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted((*path, index), inner) for index, inner in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if is_secret(path) and not is_harmless(path, value):
        return MASK
    if isinstance(value, str):
        return display_reference(redact_uri(value))
    return value if isinstance(value, int | float) else display_value(value)  # YAML has others


def is_harmless(path: KeyPath, value: object) -> bool:
    """Return True if a value may be shown: a `${NAME}`, a path, or the value of a harmless key."""
    if isinstance(value, str) and (is_variable(value) or path == SIGNING_KEY):
        return True
    if path[:2] == ("fetch", "http"):
        return is_public_setting(str(path[-1]), str(value))
    # `NAME:PASSWORD@HOST` of a proxy, without a scheme, is in none of the forms of URLs.
    has_user = isinstance(value, str) and "@" in value and "://" not in value
    return is_harmless_key(path) and not has_user
