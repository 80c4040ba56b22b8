from __future__ import annotations

import json
import resource
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from jobs.cli import app

HEAVY = {"torch", "ray", "diffusers", "transformers", "pyarrow", "fsspec", "numpy"}
REPORT = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"


def loaded_after(statement: str) -> set[str]:
    """The top-level modules in a fresh interpreter after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{REPORT}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_command_line_is_light() -> None:
    assert loaded_after("import jobs.cli") & HEAVY == set()


# One process for all commands: starting it is what takes the time.
HELP_OF_EACH = """
import sys, typer, jobs.cli
for name in ["", *typer.main.get_command(jobs.cli.app).commands]:
    sys.argv = ["uso", *name.split(), "--help"]
    try:
        jobs.cli.main()
    except SystemExit as end:
        assert end.code == 0, name
"""


def test_help_loads_neither_torch_nor_ray() -> None:
    assert loaded_after(HELP_OF_EACH) & HEAVY == set()


def test_help_answers_within_a_second() -> None:
    """Of a processor's time, which what else runs does not change."""
    command = [sys.executable, "-m", "jobs.cli", "--help"]
    assert min(_processor_seconds(command) for _ in range(3)) < 1


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"uso-batch {version('uso-batch')}\n"


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
