"""Access to the outputs of runs without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs import terminal
from pipelines.config.inputs import FetchConfig
from pipelines.config.schema import RunConfig
from pipelines.config.variables import resolve_secrets
from pipelines.errors import ConfigError, StorageError
from pipelines.ledger.lease import LEASE_PATH
from pipelines.ledger.left_out import ManifestLook
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage


def storage_options(config_path: Path | None) -> Options:
    """Return the storage options of a configuration file, with secrets resolved.

    Args:
        config_path: the YAML file; None: there are no options.

    Raises:
        ConfigError: the file is wrong, or an environment variable that it names is not set.
    """
    return {} if config_path is None else resolved_storage(RunConfig.from_yaml(config_path))


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


@contextmanager
def hint_at_config(config_path: Path | None) -> Iterator[None]:
    """Add a hint at --config to errors about a URL, unless that option was given.

    A run can have storage options that the command lacks.
    """
    try:
        yield
    except StorageError as error:
        if config_path is not None or "://" not in error.uri:
            raise
        reason = f"{error.reason}; --config CONFIG uses the storage options of that file"
        raise StorageError(error.uri, reason, error.fault) from error


def newest_run_file(storage: Storage) -> str | None:
    """Return the path of the newest run file of an output, or None. Run ids sort by time.

    Raises:
        StorageError: the output cannot be read.
    """
    files = [path for path in storage.list("run") if path.endswith(".json") and path != LEASE_PATH]
    return max(files, default=None)


def left_out_text(records: int, look: ManifestLook | None) -> str:
    """Return how many records do not count, and since which pass over the manifest."""
    many = "records of rows that are" if records != 1 else "record of a row that is"
    seen = "" if look is None else f" ({look.manifest}, read at {look.read_at})"
    return terminal.one_line(f"{records:,} {many} no longer in the manifest{seen}")
