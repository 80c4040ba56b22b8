"""Secrets that stand in a configuration as text, and so must not leave this machine."""

from __future__ import annotations

from pipelines.config.key_paths import KeyPath, is_secret, key_name, strings_in
from pipelines.config.redaction import is_harmless
from pipelines.config.schema import RunConfig
from pipelines.config.variables import variables_in
from pipelines.storage.urls import redact_uri

_SECRET_WORDS = frozenset(
    {"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PWD", "CREDENTIAL", "CREDENTIALS", "SAS"}
)
_ENV: KeyPath = ("ray", "env")


def plain_secrets(config: RunConfig) -> list[str]:
    """Return the keys that contain a secret as text instead of as `${NAME}`.

    In a section for secrets, every string counts unless its key is harmless, such as an endpoint or
    a region. In `ray.env`, the names of variables decide (`…_TOKEN`). Everywhere, a URL with a
    password or a signature counts.
    """
    return [
        key_name(path)
        for path, text in strings_in(config.model_dump())
        if _is_plain_secret(path, text)
    ]


def _is_plain_secret(path: KeyPath, value: str) -> bool:
    if redact_uri(value) != value:
        return True
    if not is_secret(path) or variables_in(value):
        return False
    if path[: len(_ENV)] == _ENV:
        return bool(_SECRET_WORDS & set(str(path[-1]).upper().split("_")))
    return not is_harmless(path, value)
