"""Values of a configuration that must not leave this machine as they are written."""

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
    """The keys under which a secret stands as text rather than as `${NAME}`.

    In sections that may hold secrets every text counts that is not under a key such as an endpoint
    or a region; in `ray.env`, those whose name says so (`…_TOKEN`); elsewhere, URLs with a password
    or a signature in them.
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
