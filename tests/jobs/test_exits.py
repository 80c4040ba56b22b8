"""Every command ends with the exit code of the error that it meets, and prints its message."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.cluster.server import JobServerError
from pipelines.errors import (
    BrokenOffError,
    ClusterError,
    ComposeError,
    ConfigError,
    LeaseHeldError,
    LeaseLostError,
    LedgerError,
    ManifestError,
    PackError,
    ReportError,
    RowsChangedError,
    RunError,
    StorageError,
    TooManyFailuresError,
    WorkersFailedError,
)
from pipelines.failures import Failure, RowFailedError
from uso_core.errors import (
    CheckpointError,
    InvalidRequestError,
    NoSuchDeviceError,
    UnsupportedPresetError,
)

INSTANCES: dict[type[Exception], Exception] = {
    InvalidRequestError: InvalidRequestError("seed", -2, "a seed, -1 or more"),
    LeaseHeldError: LeaseHeldError("out/run/lease.json", "a driver"),
    RowFailedError: RowFailedError(Failure("uri_not_found", "there is no file")),
    CheckpointError: CheckpointError("there", "a problem"),
    LedgerError: LedgerError("there", "a problem"),
    ManifestError: ManifestError("there", "a problem"),
    StorageError: StorageError("there", "a problem"),
    UnsupportedPresetError: UnsupportedPresetError("fp8", "needs another GPU"),
}


@dataclass(frozen=True)
class Command:
    """A command line, the function in it that fails, and the exit code for each error."""

    arguments: str
    failing: str
    codes: dict[type[Exception], int]


READS_OUTPUT: dict[type[Exception], int] = {ConfigError: 2, StorageError: 2, LedgerError: 2}
OF_JOBS: dict[type[Exception], int] = {ConfigError: 2, JobServerError: 1}
COMMANDS = [
    Command(
        "run CONFIG",
        "pipelines.driver.run.run",
        {
            **dict.fromkeys((ConfigError, ManifestError, StorageError, CheckpointError), 2),
            **dict.fromkeys((LeaseHeldError, LedgerError), 2),
            **dict.fromkeys((RunError, BrokenOffError, WorkersFailedError, ClusterError), 1),
            **dict.fromkeys((TooManyFailuresError, RowsChangedError, LeaseLostError), 1),
        },
    ),
    Command("describe CONFIG", "jobs.describe.RunConfig.from_yaml", {ConfigError: 2}),
    Command(
        "plan CONFIG",
        "jobs.plan.survey",
        {**READS_OUTPUT, ManifestError: 2, RowsChangedError: 2},
    ),
    Command(
        "validate CONFIG",
        "jobs.validate.check_rows",
        dict.fromkeys((ConfigError, ManifestError, StorageError), 2),
    ),
    Command("status OUT", "jobs.status.look_at", READS_OUTPUT),
    Command("status OUT --watch", "jobs.watch.read_last_run", READS_OUTPUT),
    Command("report OUT", "jobs.report.write_report", {**READS_OUTPUT, ReportError: 2}),
    Command("pack OUT --layout parquet", "jobs.pack.pack", {**READS_OUTPUT, PackError: 2}),
    Command(
        "manifest OUT/m.parquet --prompt a",
        "jobs.manifest.write_manifest",
        {**READS_OUTPUT, ManifestError: 2, ComposeError: 2},
    ),
    Command(
        "submit CONFIG",
        "jobs.cluster.submit.JobServer",
        {**OF_JOBS, ManifestError: 2, StorageError: 2},
    ),
    Command("jobs", "jobs.cluster.listing.JobServer", OF_JOBS),
    Command("stop NAME", "jobs.cluster.stop.JobServer", OF_JOBS),
    Command("logs NAME", "jobs.cluster.logs.JobServer", {JobServerError: 1}),
    Command(
        "generate --model tiny --out OUT/a.png",
        "jobs.generate.describe_model",
        {
            **dict.fromkeys((CheckpointError, InvalidRequestError, NoSuchDeviceError), 2),
            **dict.fromkeys((UnsupportedPresetError, StorageError, RowFailedError, OSError), 2),
        },
    ),
    Command("tiny OUT", "jobs.tiny.write_tiny_checkpoint", {CheckpointError: 2, OSError: 2}),
]
CASES = [
    pytest.param(command, kind, code, id=f"{command.arguments}-{kind.__name__}")
    for command in COMMANDS
    for kind, code in command.codes.items()
]


@pytest.mark.parametrize(("command", "kind", "code"), CASES)
def test_an_error_ends_the_command_with_its_exit_code_and_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command,
    kind: type[Exception],
    code: int,
) -> None:
    error = INSTANCES.get(kind) or kind("a problem")

    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(command.failing, fail)
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a"}\n')
    config = tmp_path / "run.yaml"
    config.write_text(
        f"manifest: {{path: {tmp_path}/rows.jsonl}}\n"
        f"output: {{path: {tmp_path}/out}}\nmodel: {{base: tiny}}\n"
    )
    paths = {"CONFIG": str(config), "OUT": str(tmp_path)}
    words = command.arguments
    for name, path in paths.items():
        words = words.replace(name, path)
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == code, result.output
    assert str(error) in result.stderr
    assert isinstance(result.exception, SystemExit)
