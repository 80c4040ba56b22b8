"""A configuration without its secrets, to be shown and stored."""

from __future__ import annotations

import re
from typing import Any

from pipelines.config.key_paths import KeyPath, is_secret
from pipelines.config.schema import RunConfig
from pipelines.config.variables import is_variable
from pipelines.display import display_reference
from pipelines.storage.urls import redact_uri

MASK = "***"

_HARMLESS = re.compile(
    r"(.*_)?(endpoint(_url)?(_s3)?|region(_name)?|project|account_name"
    r"|addressing_style|signature_version|profile(_name)?|use_ssl|verify|anon)",
    re.IGNORECASE,
)


def redacted(config: RunConfig) -> dict[str, Any]:
    """Return `config` as JSON values, without secrets.

    In `SECRET_SECTIONS`, a value is masked unless it is a `${NAME}` or its key is harmless, such as
    an endpoint or a region. Everywhere, URLs lose credentials and signatures, and a `data:` URI is
    replaced by the hash of its image.
    """
    shown = _redacted((), config.model_dump(mode="json"))
    assert isinstance(shown, dict)
    return shown


def _redacted(path: KeyPath, value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    if isinstance(value, dict):
        return {key: _redacted((*path, key), inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_redacted((*path, index), inner) for index, inner in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if is_secret(path) and not is_harmless(path, value):
        return MASK
    return display_reference(redact_uri(value)) if isinstance(value, str) else value


def is_harmless(path: KeyPath, value: object) -> bool:
    """Return True if a value may be shown: it is a `${NAME}`, or its key is harmless."""
    if isinstance(value, str) and is_variable(value):
        return True
    name = next(part for part in reversed(path) if isinstance(part, str))
    return _HARMLESS.fullmatch(name) is not None
