from __future__ import annotations

import resource
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from tests.fresh_interpreter import loaded_after

HEAVY = {"torch", "ray", "diffusers", "transformers", "pyarrow", "fsspec", "numpy"}


# One process for all commands, because its start takes most of the time.
HELP_OF_EACH = """
import sys, typer, jobs.cli
for name in ["", *typer.main.get_command(jobs.cli.app).commands]:
    sys.argv = ["uso", *name.split(), "--help"]
    try:
        jobs.cli.app()
    except SystemExit as end:
        assert end.code == 0, name
"""


def test_help_loads_neither_torch_nor_ray() -> None:
    assert loaded_after(HELP_OF_EACH) & HEAVY == set()


def test_before_a_run_neither_torch_nor_ray_is_loaded() -> None:
    modules = ("describe", "manifest", "plan", "run", "status", "validate", "watch")
    statement = "\n".join(f"import jobs.{module}" for module in modules)
    assert loaded_after(statement) & {"torch", "ray", "diffusers"} == set()


def test_help_answers_within_a_second() -> None:
    """Counts processor time, which does not depend on the load of the machine."""
    command = [sys.executable, "-m", "jobs.cli", "--help"]
    assert min(_processor_seconds(command) for _ in range(3)) < 1


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"uso-batch {version('uso-batch')}\n"


def test_ctrl_c_after_the_end_prints_no_traceback() -> None:
    script = (
        "import atexit, os, signal, sys\n"
        "import jobs.cli\n"
        "def version(_):\n"
        "    atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "    return '1'\n"
        "jobs.cli.version = version\n"
        "sys.argv = ['uso', '--version']\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "jobs.cli.main()\n"
    )
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run"], ["run", "x.yaml", "--limit", "0"], ["status"], ["generate"], ["logs"]],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def _processor_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
