"""Checks of a configuration before it is submitted."""

from __future__ import annotations

import os
from collections.abc import Sequence

from jobs.cluster.paths import local_paths
from pipelines.config.key_paths import strings_in
from pipelines.config.plain_secrets import plain_secrets
from pipelines.config.schema import RunConfig
from pipelines.config.variables import resolve_secrets, variables_in
from pipelines.errors import ConfigError, ManifestError, StorageError
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.source import LOOKING
from pipelines.storage.faults import fault_of
from pipelines.storage.urls import redact_uri
from pipelines.tools.planning.model import inspect_model


def refuse_secrets(config: RunConfig) -> None:
    """Raise `ConfigError` if the configuration contains a secret as text."""
    keys = plain_secrets(config)
    if keys:
        raise ConfigError(
            f"{', '.join(keys)}: a secret would be sent as text. Write ${{NAME}} instead, and "
            "set NAME on the cluster or pass it with --env NAME; leave credentials out of URLs"
        )


def passed_env(names: Sequence[str]) -> dict[str, str]:
    """Return environment variables for the Ray job, with their local values.

    Args:
        names: the variables to pass.

    Raises:
        ConfigError: a variable is not set locally.
    """
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ConfigError(f"--env {missing[0]}: this environment variable is not set here")
    return {name: os.environ[name] for name in names}


def refuse_signing_key(names: Sequence[str], config: RunConfig) -> None:
    """Raise `ConfigError` if one of the variables to pass lets its reader sign images."""
    provenance = config.output.provenance
    secrets = {"key": provenance.key, "signer_token": provenance.signer_token}
    for key, value in secrets.items():
        own = variables_in(value or "")
        through = [name for one in own for name in variables_in(config.ray.env.get(one, ""))]
        signing = {*own, *through} & set(names)
        if signing:
            raise ConfigError(
                f"--env {min(signing)}: output.provenance.{key} names this variable, and a secret "
                "that signs must not be in the job, which Ray keeps and shows; set it in the "
                "environment of the nodes, or give a key as the path of a file on them"
            )


def unset_on_cluster(config: RunConfig, passed: Sequence[str]) -> list[str]:
    """Return the variables in the configuration that are not passed to the Ray job, sorted."""
    strings = strings_in(config.model_dump())
    names = {name for _, text in strings for name in variables_in(text)}
    return sorted(names - set(passed))


def refuse_relative_paths(config: RunConfig) -> None:
    """Raise `ConfigError` if a path depends on the current folder."""
    relative = [path for path in local_paths(config) if path.relative]
    if relative:
        first = relative[0]
        raise ConfigError(
            f"{first.key}: {first.path!r} is relative to this folder, and the cluster is another "
            "machine; give a URL (s3://…), or the absolute path of a folder that every node sees"
        )


def check_manifest(config: RunConfig, *, on_this_machine: bool) -> str:
    """Check the files and columns of the manifest, if this machine can read them.

    Args:
        config: a configuration with absolute paths.
        on_this_machine: True if the cluster sees the files of this machine.

    Returns:
        The files and the number of rows, or the reason why the manifest was not checked.

    Raises:
        ManifestError: the manifest is unusable.
    """
    try:
        resolve_secrets(config.storage)
    except ValueError as error:
        return f"not checked from here: {error}"
    paths = config.manifest.paths
    local = [path for path in paths if path.startswith("/")]
    if not on_this_machine and not all(map(os.path.exists, local)):
        return "not checked: it is not on this machine"
    try:
        manifest = Manifest.open(config, inspect_model(config.model).card, LOOKING)
    except ManifestError as error:
        if not _out_of_reach(error):
            raise
        return f"not checked from here: {error}"
    rows = manifest.total_rows
    count = "number of rows unknown until the run reads them" if rows is None else f"{rows:,} rows"
    return f"{', '.join(map(redact_uri, paths))}: {count}"


def _out_of_reach(error: ManifestError) -> bool:
    """Return True if the cluster may be able to read files that this machine cannot."""
    cause = error.__cause__
    if isinstance(cause, StorageError):
        return cause.fault in ("denied", "unavailable")
    return cause is not None and fault_of(cause) in ("denied", "unavailable")
