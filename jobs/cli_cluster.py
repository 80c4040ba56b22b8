"""Options of `uso submit`, `jobs`, `logs` and `stop`.

The module that does a command's work is imported when it runs: `uso --help` must answer at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.options import (
    AsJson,
    CheckImages,
    ConfigFile,
    Ids,
    Limit,
    Overrides,
    RetryFailed,
    StorageConfig,
    references_to_fetch,
    run_overrides,
)

if TYPE_CHECKING:
    from jobs.validate_fetch import FetchOptions

_ADDRESS = "http://127.0.0.1:8265"

Address = Annotated[
    str,
    typer.Option(
        metavar="URL",
        envvar="RAY_API_SERVER_ADDRESS",
        help="Job server of the cluster: the URL of its dashboard.",
    ),
]
JobId = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="The job id that uso submit printed, or its beginning.",
        show_default=False,
    ),
]


def submit(
    config: ConfigFile,
    address: Address = _ADDRESS,
    overrides: Overrides = None,
    limit: Limit = None,
    ids: Ids = None,
    retry_failed: RetryFailed = False,
    check_images: CheckImages = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Pass this environment variable to the job. Everyone who can reach the job server "
            "can read its value. Repeatable.",
            show_default=False,
        ),
    ] = None,
    pip: Annotated[
        bool,
        typer.Option("--pip", help="Install missing requirements on the nodes."),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Check the manifest's files first.")
    ] = True,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print the output of the job until it ends.")
    ] = False,
    validate: Annotated[
        str | None,
        typer.Option(
            metavar="all|N",
            help="Draw nothing: check the rows, and fetch all references or N of them with all "
            "CPUs of the cluster, as uso validate does.",
            show_default=False,
        ),
    ] = None,
    problems: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With --validate: write every problem to this Parquet file, a URL or a path that "
            "the cluster's nodes see. Submitted again, an interrupted check resumes.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Submit a run to a Ray cluster as a Ray job. Submit it again to resume.

    Sends the code and the configuration, but no data and no secrets.

    Exit codes:
    0  submitted
    1  no job server answers, or it rejects the job
    2  the configuration or the manifest is wrong
    With --follow, the exit code is that of the run.
    """
    from jobs.cluster.submit import SubmitOptions, submit_command

    values = run_overrides(
        overrides, limit, ids, retry_failed=retry_failed, check_images=check_images
    )
    validation = _validation(validate, problems)
    options = SubmitOptions(address, env or (), pip, check, follow, validation)
    raise typer.Exit(submit_command(config, values, options))


def _validation(validate: str | None, problems: str | None) -> FetchOptions | None:
    from jobs.validate_fetch import FetchOptions

    if validate is None:
        if problems is not None:
            raise typer.BadParameter(
                "goes with --validate, which is missing", param_hint="--problems"
            )
        return None
    if problems is None:
        raise typer.BadParameter(
            "needs --problems FILE, which the nodes see", param_hint="--validate"
        )
    return FetchOptions(references_to_fetch(validate, "--validate"), problems, on_cluster=True)


def jobs(
    address: Address = _ADDRESS, config: StorageConfig = None, as_json: AsJson = False
) -> None:
    """List the Ray jobs that uso submitted to a cluster, and count their records."""
    from jobs.cluster.listing import jobs_command

    raise typer.Exit(jobs_command(address, config, as_json=as_json))


def logs(
    job: JobId,
    address: Address = _ADDRESS,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", "-f", help="Print until the job ends, and exit with its exit code."
        ),
    ] = False,
) -> None:
    """Print the output of a Ray job."""
    from jobs.cluster.logs import logs_command

    raise typer.Exit(logs_command(job, address, follow=follow))


def stop(job: JobId, address: Address = _ADDRESS, config: StorageConfig = None) -> None:
    """Stop a Ray job gracefully, and wait until it has ended.

    Rows in progress finish and are recorded. Submit the run again to resume.

    Exit codes:
    0  stopped; all finished rows are recorded
    1  killed before all finished rows were recorded, or no job server answers
    2  the configuration is wrong
    """
    from jobs.cluster.stop import stop_command

    raise typer.Exit(stop_command(job, address, config))
