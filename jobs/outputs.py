"""Outputs of runs, as commands reach and read them without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.config.schema import RunConfig
from pipelines.config.variables import resolve_secrets
from pipelines.errors import ConfigError, StorageError
from pipelines.ledger.lease import LEASE_PATH
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage


def storage_options(config_path: Path | None) -> Options:
    """The storage options of a configuration, secrets resolved; none without one.

    Raises:
        ConfigError: the file is wrong, or a variable that it names is not set.
    """
    return {} if config_path is None else resolved_storage(RunConfig.from_yaml(config_path))


def resolved_storage(config: RunConfig) -> Options:
    """A configuration's storage options, secrets resolved.

    Raises:
        ConfigError: a variable that it names is not set.
    """
    try:
        return resolve_secrets(config.storage)
    except ValueError as error:
        raise ConfigError(str(error)) from error


@contextmanager
def hint_at_config(config_path: Path | None) -> Iterator[None]:
    """Let errors about a URL name --config, where it was not given: a run has more to reach it."""
    try:
        yield
    except StorageError as error:
        if config_path is not None or "://" not in error.uri:
            raise
        reason = f"{error.reason}; --config CONFIG takes the storage options of that file"
        raise StorageError(error.uri, reason, error.fault) from error


def newest_run_file(storage: Storage) -> str | None:
    """The path of an output's newest run file; run ids sort by time.

    Raises:
        StorageError: the output cannot be read.
    """
    files = [path for path in storage.list("run") if path.endswith(".json") and path != LEASE_PATH]
    return max(files, default=None)
