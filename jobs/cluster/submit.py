"""`uso submit`: submits a run, or a check of its manifest, to a cluster as a Ray job."""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from rich.console import Console

from jobs import exits, terminal
from jobs.cluster.check import (
    check_manifest,
    passed_env,
    refuse_relative_paths,
    refuse_secrets,
    refuse_signing_key,
    unset_on_cluster,
)
from jobs.cluster.job import COMMAND_KEY, CONFIG_KEY, OUTPUT_KEY, STOP_WAIT_KEY, stop_wait_s
from jobs.cluster.logs import follow_to_end
from jobs.cluster.package import CONFIG_FILE, Package, pack, requirements
from jobs.cluster.paths import local_paths, with_absolute_paths
from jobs.cluster.server import JobServer, Submission
from jobs.validate_fetch import FetchOptions
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError
from pipelines.storage.urls import is_uri, redact_uri

_RUN = ("run", CONFIG_FILE)
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]+")
_MOST_OF_NAME = 40


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """Options of a submission.

    Attributes:
        address: the URL of the job server.
        env: the names of environment variables to pass to the job.
        pip: installs the package's requirements on the nodes.
        check: checks the manifest first.
        follow: prints the output of the job until it ends.
        validate: checks the manifest on the cluster in place of the run; None: runs.
    """

    address: str
    env: Sequence[str] = ()
    pip: bool = False
    check: bool = True
    follow: bool = False
    validate: FetchOptions | None = None


def submit_command(config_path: Path, overrides: Sequence[str], options: SubmitOptions) -> int:
    """Check, pack and submit a run, and return the exit code.

    Nothing is submitted if anything is wrong. Safe to repeat: an output admits one run at a time,
    and a later run generates only the missing rows.

    Args:
        config_path: the YAML file of the run.
        overrides: values that replace those of the file, each as `a.b=c`.
        options: the options of the submission.
    """
    console = terminal.out()
    with exits.exit_on_error():
        config = RunConfig.from_yaml(config_path, overrides)
        refuse_secrets(config)
        refuse_signing_key(options.env, config)
        command = _RUN if options.validate is None else _validation(options.validate)
        env = passed_env(options.env)
        server = JobServer(options.address)
        here = server.on_this_machine()
        sent = _for_cluster(config, console, on_this_machine=here)
        _print_unset(sent, options.env, console)
        if options.check:
            terminal.fact(console, "manifest", check_manifest(sent, on_this_machine=here))
        pip = _requirements(sent) if options.pip else ()
        with tempfile.TemporaryDirectory(prefix="uso-submit-") as folder:
            package = pack(sent, Path(folder))
            _print_packed(package, pip, console)
            job = _Job(config_path, command, env, pip)
            submission = _submission(job, sent, package)
            server.submit(submission)
        _print_submitted(server, submission, console)
        reach = ("--config", str(config_path)) if sent.storage else ()
        status = ["uso", "status", submission.metadata[OUTPUT_KEY], *reach]
        terminal.fact(console, "rows", shlex.join(status))
        if options.follow:
            return asyncio.run(follow_to_end(server, submission.job_id))
    return exits.DONE


def _for_cluster(config: RunConfig, console: Console, *, on_this_machine: bool) -> RunConfig:
    """Return the configuration to send, which joins the cluster on which it runs."""
    paths = local_paths(config)
    if paths and not on_this_machine:
        refuse_relative_paths(config)
        names = ", ".join(dict.fromkeys(path.key for path in paths))
        terminal.fact(
            console, "paths", f"every node of the cluster must see the folders of {names}"
        )
    if config.ray.address != "auto":
        terminal.fact(
            console,
            "ray",
            f"address auto (the cluster of the job) in place of {config.ray.address}",
        )
    ray = config.ray.model_copy(update={"address": "auto"})
    return with_absolute_paths(config).model_copy(update={"ray": ray})


@dataclass(frozen=True, slots=True)
class _Job:
    config_path: Path
    command: tuple[str, ...]
    env: dict[str, str]
    pip: tuple[str, ...]


def _validation(options: FetchOptions) -> tuple[str, ...]:
    """Return the command that checks a manifest on the cluster.

    Raises:
        ConfigError: the file for the problems cannot be one of the cluster's.
    """
    problems = options.problems or ""
    if redact_uri(problems) != problems:
        raise ConfigError(
            "--problems: everyone who can reach the job server would see the credentials in its "
            "URL; put them into the section storage, as ${NAME}"
        )
    if not is_uri(problems):
        problems = str(Path(problems).absolute())
    return (
        "validate",
        CONFIG_FILE,
        "--fetch",
        str(options.fetch),
        "--cluster",
        "--problems",
        problems,
    )


def _submission(job: _Job, config: RunConfig, package: Package) -> Submission:
    now = datetime.now(timezone.utc)
    name = _NOT_IN_ID.sub("-", job.config_path.stem).strip("-")[:_MOST_OF_NAME] or "run"
    return Submission(
        job_id=f"{name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        entrypoint=f"exec python -m jobs.cli {shlex.join(job.command)}",
        package=package.path,
        env={
            "RAY_USAGE_STATS_ENABLED": "0",
            STOP_WAIT_KEY: str(stop_wait_s(config.ray.stop_grace_s)),
            **job.env,
        },
        pip=job.pip,
        metadata={
            OUTPUT_KEY: redact_uri(config.output.path),
            CONFIG_KEY: job.config_path.name,
            **({} if job.command == _RUN else {COMMAND_KEY: job.command[0]}),
        },
    )


def _requirements(config: RunConfig) -> tuple[str, ...]:
    try:
        return requirements(config)
    except PackageNotFoundError as error:
        raise ConfigError("--pip: install the package here first (pip install -e .)") from error


def _print_unset(config: RunConfig, passed: Sequence[str], console: Console) -> None:
    names = unset_on_cluster(config, passed)
    if names:
        wanted = ", ".join(names)
        terminal.fact(
            console,
            "secrets",
            f"the environment of the cluster must set {wanted}, or pass them with --env",
        )


def _print_packed(package: Package, pip: tuple[str, ...], console: Console) -> None:
    size = f"{package.num_files} files, {package.num_bytes / 1e6:.1f} MB"
    terminal.fact(console, "packed", f"{size}: uso_core, pipelines, jobs and {CONFIG_FILE}")
    if pip:
        terminal.fact(console, "pip", f"installs {len(pip)} requirements on the nodes, if missing")


def _print_submitted(server: JobServer, submission: Submission, console: Console) -> None:
    reach = f"--address {shlex.quote(redact_uri(server.address))}"
    terminal.fact(console, "submitted", submission.job_id)
    terminal.fact(console, "follow", f"uso logs -f {submission.job_id} {reach}")
    terminal.fact(console, "stop", f"uso stop {submission.job_id} {reach}")
    terminal.fact(console, "all jobs", f"uso jobs {reach}")
