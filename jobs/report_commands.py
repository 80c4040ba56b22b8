"""The arguments of the commands on a report's page: the configuration of the last run."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.cluster.paths import local_paths
from jobs.outputs import newest_run_file
from pipelines.config.schema import RunConfig
from pipelines.config.source import ConfigSource
from pipelines.errors import ConfigError
from pipelines.storage.storage import Storage
from pipelines.storage.urls import is_uri, redact_uri
from pipelines.tools.report.commands import ANYWHERE, UNKNOWN, Commands
from pipelines.tools.report.values import visible


def report_commands(output: Storage, given: Path | None) -> Commands:
    """Return the arguments of the commands.

    The configuration is the given file or else the one that the last run has noted, if it is on
    this machine and still writes to this output.

    Args:
        output: the output.
        given: the YAML file with which the output is reached; None: it needs none.

    Raises:
        StorageError: the output cannot be read.
    """
    pack = "" if given is None else shlex.join(["--config", os.path.abspath(given)])
    run = _last_run(output)
    noted = _noted(run)
    sources = [] if given is None else [ConfigSource.of(given)]
    for source in [*sources, *([] if noted is None else [noted])]:
        config = _config_at(source, output)
        if config is not None:
            return Commands(shlex.quote(source.path), pack, _notes(source, config))
    return Commands(UNKNOWN, pack, (ANYWHERE, _unknown(noted, run)))


def _last_run(output: Storage) -> Mapping[str, Any]:
    newest = newest_run_file(output)
    if newest is None:
        return {}
    try:
        document = json.loads(output.read(newest))
    except ValueError:  # people read the run file
        return {}
    return document if isinstance(document, dict) else {}


def _noted(run: Mapping[str, Any]) -> ConfigSource | None:
    try:
        facts = dict(run["config_file"])
        return ConfigSource(
            str(facts["path"]), str(facts["folder"]), tuple(map(str, facts["overrides"]))
        )
    except (KeyError, TypeError, ValueError):  # an older version, or no file
        return None


def _config_at(source: ConfigSource, output: Storage) -> RunConfig | None:
    """Return the configuration at a place; None if it is not the one of this output."""
    if is_uri(source.path) or visible(source.path) != source.path:
        return None
    try:
        config = RunConfig.from_yaml(source.path)
    except ConfigError:  # it is gone, or it has changed
        return None
    replaced = {"output", "output.path"}.intersection(source.overrides)
    return config if replaced or _place(config, source) == output.uri() else None


def _place(config: RunConfig, source: ConfigSource) -> str:
    path = config.output.path
    if is_uri(path):
        return redact_uri(path).rstrip("/")
    return os.path.abspath(os.path.join(source.folder, os.path.expanduser(path)))


def _notes(source: ConfigSource, config: RunConfig) -> tuple[str, ...]:
    notes = [ANYWHERE]
    relative = [path.key for path in local_paths(config) if path.relative]
    if relative:
        keys, folder = ", ".join(dict.fromkeys(relative)), visible(source.folder)
        notes = [f"Give them in {folder}, with the saved file: paths in {keys} start there."]
    if source.overrides:
        keys = visible(", ".join(source.overrides))
        notes.append(f"The run replaced {keys} by --set: add these options.")
    return tuple(notes)


def _unknown(noted: ConfigSource | None, run: Mapping[str, Any]) -> str:
    what = f"{UNKNOWN} is the YAML file of the run"
    if noted is None:
        return f"{what}."
    if is_uri(noted.path):
        return f"{what}: download {visible(noted.path)}."
    host = visible(str(run.get("host") or "its machine"))
    return f"{what}; on {host} it was {visible(noted.path)}."
