"""`${NAME}` in a configuration: an environment variable in the place of a secret.

NAME consists of A-Z, a-z, 0-9 and _, and does not begin with a digit. Any other text after `${` is
an error: a mistyped variable must not be taken for the secret itself. A `$` without a brace is
plain text. Values that come from the environment are not searched for variables again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NOT_A_VARIABLE = re.compile(r"\$\{(?![A-Za-z_][A-Za-z0-9_]*\})")

MALFORMED = (
    "contains a malformed variable; NAME in ${NAME} consists of A-Z, a-z, 0-9 and _, and does not "
    "begin with a digit"
)
"""The message about a `${` that does not begin a variable."""


def is_variable(text: str) -> bool:
    """Return True if `text` is one variable and nothing else."""
    return _VARIABLE.fullmatch(text) is not None


def variables_in(text: str) -> list[str]:
    """Return the names of the variables in `text`, in their order."""
    return _VARIABLE.findall(text)


def has_malformed_variable(text: str) -> bool:
    """Return True if a `${` in `text` does not begin a variable."""
    return _NOT_A_VARIABLE.search(text) is not None


def resolve_secrets(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the `storage` options with the values of their variables.

    Raises:
        ValueError: a variable is malformed or not set; the message names the key, and shows no
            secret.
    """
    return {
        protocol: resolve_variables(own, f"storage.{protocol}") for protocol, own in options.items()
    }


def resolve_variables(value: Any, key: str) -> Any:  # noqa: ANN401 (any value of a key)
    """Return `value` with each variable in its strings replaced by its value.

    Args:
        value: any value of a configuration; the keys of a mapping stay as they are.
        key: its key, for the message.

    Raises:
        ValueError: a variable is malformed or not set; the message names the key, and shows no
            secret.
    """
    if isinstance(value, Mapping):
        return {name: resolve_variables(inner, f"{key}.{name}") for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve_variables(inner, f"{key}.{index}") for index, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    if has_malformed_variable(value):
        raise ValueError(f"{key}: {MALFORMED}")

    def from_environment(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ValueError(f"{key}: the environment variable {name} is not set; export {name}=…")
        return os.environ[name]

    return _VARIABLE.sub(from_environment, value)
