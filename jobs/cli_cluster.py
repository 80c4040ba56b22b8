"""What `uso submit`, `jobs`, `logs` and `stop` take.

A command's module is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.options import ConfigFile, Limit, Overrides, StorageConfig, with_limit

_ADDRESS = "http://127.0.0.1:8265"

Address = Annotated[
    str,
    typer.Option(
        envvar="RAY_API_SERVER_ADDRESS", help="The cluster's job server: its dashboard's URL."
    ),
]
JobId = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="As printed by uso submit, or as much of its beginning as names one job.",
        show_default=False,
    ),
]


def submit(
    config: ConfigFile,
    address: Address = _ADDRESS,
    overrides: Overrides = None,
    limit: Limit = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try rows again whatever they failed with.")
    ] = False,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Pass this environment variable on, as it is set here. Everyone who can reach "
            "the cluster's job server can read it. Repeatable.",
            show_default=False,
        ),
    ] = None,
    pip: Annotated[
        bool,
        typer.Option(
            "--pip", help="Install what the package needs on the nodes, where it is missing."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Look at the manifest first.")
    ] = True,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print what the job prints until it ends.")
    ] = False,
) -> None:
    """Submit a run to a Ray cluster; submit it again to go on, or to do what is missing.

    The package and the configuration are packed and sent; no data, and no secrets. Exit codes: 0
    submitted, 1 the job server does not take it, 2 wrong configuration or manifest.
    """
    from jobs.cluster.submit import SubmitOptions, submit_command

    values = with_limit(overrides, limit)
    if retry_failed:
        values.append("on_error.retry_failed=true")
    options = SubmitOptions(address, env or (), pip, check, follow)
    raise typer.Exit(submit_command(config, values, options))


def jobs(address: Address = _ADDRESS, config: StorageConfig = None) -> None:
    """List the runs that were submitted to a cluster, and what they have recorded."""
    from jobs.cluster.listing import jobs_command

    raise typer.Exit(jobs_command(address, config))


def logs(
    job: JobId,
    address: Address = _ADDRESS,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on until the job ends, and exit as uso run would."),
    ] = False,
) -> None:
    """Print what a submitted run has printed."""
    from jobs.cluster.logs import logs_command

    raise typer.Exit(logs_command(job, address, follow=follow))


def stop(job: JobId, address: Address = _ADDRESS, config: StorageConfig = None) -> None:
    """Stop a submitted run in good order: rows at work end and are recorded. Waits for it."""
    from jobs.cluster.stop import stop_command

    raise typer.Exit(stop_command(job, address, config))
