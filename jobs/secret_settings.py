"""Settings with the values of their variables; kept apart from modules that import pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipelines.config.inputs import FetchConfig
from pipelines.config.load import load
from pipelines.config.schema import RunConfig
from pipelines.config.strict import StrictModel
from pipelines.config.variables import resolve_secrets
from pipelines.errors import ConfigError
from pipelines.storage.filesystems import Options


class _Stores(StrictModel):
    """A file with nothing but the storage options."""

    storage: dict[str, dict[str, Any]]


class _AnyFile(BaseModel):
    model_config = ConfigDict(extra="allow")


_ACCEPTED = (
    "Give a file with the section `storage` alone, or the whole configuration of a run; this "
    "command reads only its section `storage`."
)


def stores_in(config_path: Path) -> dict[str, dict[str, Any]]:
    """Return the storage options of a file, as they are written.

    Args:
        config_path: the YAML file of a run, or one with the section `storage` alone.

    Raises:
        ConfigError: the file is wrong.
    """
    try:
        return load(_Stores, config_path).storage
    except ConfigError as alone:
        try:
            return RunConfig.from_yaml(config_path).storage
        except ConfigError:
            if _is_of_a_run(config_path):
                raise
            raise ConfigError(f"{alone}\n{_ACCEPTED}") from alone


def _is_of_a_run(config_path: Path) -> bool:
    """Return whether a file, if it were right, would be the configuration of a run."""
    sections = load(_AnyFile, config_path).model_extra or {}
    return "manifest" in sections or "output" in sections


def storage_options(config_path: Path | None) -> Options:
    """Return the storage options of a file, with secrets resolved.

    Args:
        config_path: see `stores_in`; None: there are no options.

    Raises:
        ConfigError: the file is wrong, or an environment variable that it names is not set.
    """
    return {} if config_path is None else resolved_secrets(stores_in(config_path))


def resolved_storage(config: RunConfig) -> Options:
    """Return the storage options of a configuration, with secrets resolved.

    Raises:
        ConfigError: an environment variable that it names is not set.
    """
    return resolved_secrets(config.storage)


def resolved_secrets(options: Options) -> Options:
    """Return storage options with secrets resolved.

    Raises:
        ConfigError: an environment variable that they name is not set.
    """
    try:
        return resolve_secrets(options)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def resolved_fetch(config: RunConfig) -> FetchConfig:
    """Return the settings of fetches, with secrets resolved.

    Raises:
        ConfigError: an environment variable that they name is not set.
    """
    try:
        return config.fetch.model_copy(update={"http": config.fetch.http.resolved()})
    except ValueError as error:
        raise ConfigError(str(error)) from error
