from __future__ import annotations

import json
import subprocess
import sys
import time
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
    assert loaded_after("import jobs.cli").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["run"],
        ["manifest"],
        ["validate"],
        ["plan"],
        ["describe"],
        ["status"],
        ["report"],
        ["submit"],
        ["jobs"],
        ["logs"],
        ["stop"],
        ["generate"],
        ["tiny"],
    ],
)
def test_help_loads_neither_torch_nor_ray(command: list[str]) -> None:
    statement = (
        "import sys, jobs.cli\n"
        f"sys.argv = ['uso', *{command!r}, '--help']\n"
        "try:\n    jobs.cli.main()\nexcept SystemExit as end:\n    assert end.code == 0"
    )
    assert loaded_after(statement).isdisjoint(HEAVY)


def test_help_answers_within_a_second() -> None:
    best = min(_seconds([sys.executable, "-m", "jobs.cli", "--help"]) for _ in range(3))
    assert best < 1


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


def _seconds(command: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began
