"""The configuration, model and versions of earlier runs, as their run files have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config.redaction import MASK
from pipelines.config.schema import RunConfig, load_config
from pipelines.errors import ConfigError, StorageError
from pipelines.storage.storage import Storage

_OF_DRAWING = ("manifest", "output", "defaults", "model", "fetch", "stylize", "safety", "storage")
"""The sections without which a row cannot be drawn, or would be drawn otherwise."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as its run file describes it.

    Attributes:
        run_id: its id.
        config: the sections of its configuration that a drawing needs, without secrets.
        model: fingerprint of its model.
        model_name: its name.
        versions: versions of libraries in the driver's process, by name.
    """

    run_id: str
    config: Mapping[str, Any]
    model: str
    model_name: str
    versions: Mapping[str, str]

    @property
    def signs(self) -> bool:
        """True if it has signed its images."""
        provenance = self.config.get("output", {}).get("provenance")
        return isinstance(provenance, dict) and provenance.get("c2pa") is True

    def settings(self, overrides: Sequence[str] = ()) -> RunConfig:
        """Return the configuration of the run; secrets are left out.

        Args:
            overrides: values that replace those of the configuration, each as `a.b=c`.

        Raises:
            ConfigError: this version does not accept the configuration.
        """
        try:
            return load_config(self.config, overrides)
        except ConfigError as error:
            if overrides and self._is_accepted():
                raise
            raise ConfigError(
                f"run/{self.run_id}.json: this version does not accept its configuration; give one "
                f"with --config. {error}"
            ) from error

    def _is_accepted(self) -> bool:
        try:
            load_config(self.config, ())
        except ConfigError:
            return False
        return True


class StoredRuns:
    """Reads each run file of an output once."""

    def __init__(self, output: Storage) -> None:
        self._output = output
        self._runs: dict[str, StoredRun | None] = {}

    def find(self, run_id: str) -> StoredRun | None:
        """Return a run; None if its run file is gone or damaged.

        Raises:
            StorageError: the output cannot be read.
        """
        if run_id not in self._runs:
            self._runs[run_id] = self._read(run_id)
        return self._runs[run_id]

    def _read(self, run_id: str) -> StoredRun | None:
        try:
            document = json.loads(self._output.read(f"run/{run_id}.json"))
            given = document["config"]  # of an earlier version, it lacks sections
            config = {name: given[name] for name in _OF_DRAWING if name in given}
            model, name = (str(document["model"][key]) for key in ("fingerprint", "name"))
        except StorageError as error:
            if error.fault != "not_found":
                raise
            return None
        except (ValueError, KeyError, TypeError):
            return None
        return StoredRun(
            run_id, _without_masked(config), model, name, document.get("versions") or {}
        )


def _without_masked(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a configuration without the values that were masked because they are secret."""
    if isinstance(value, dict):
        return {name: _without_masked(each) for name, each in value.items() if each != MASK}
    if isinstance(value, list):
        return [_without_masked(each) for each in value if each != MASK]
    return value
