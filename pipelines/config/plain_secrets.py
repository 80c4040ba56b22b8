"""Secrets that stand in a configuration as text, and so must not leave this machine."""

from __future__ import annotations

from pipelines.config.key_paths import KeyPath, is_secret, key_name, values_in
from pipelines.config.redaction import is_harmless
from pipelines.config.schema import RunConfig
from pipelines.storage.urls import redact_uri


def plain_secrets(config: RunConfig) -> list[str]:
    """Return the keys that contain a secret as text instead of as `${NAME}`.

    In a section for secrets, every value counts, of any type, unless it is a `${NAME}` and nothing
    else, a switch, or its key is harmless, such as an endpoint or a region. Everywhere, a URL with
    a password or a signature counts.
    """
    found = (path for path, value in values_in(config.model_dump()) if _is_plain(path, value))
    return list(dict.fromkeys(map(key_name, found)))


def _is_plain(path: KeyPath, value: object) -> bool:
    if isinstance(value, str) and redact_uri(value) != value:
        return True
    if value is None or isinstance(value, bool) or value == "":
        return False
    return is_secret(path) and not is_harmless(path, value)
