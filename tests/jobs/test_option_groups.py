from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner, Result

from jobs.option_groups import Option, OptionTable, with_option_groups

TABLE = OptionTable(
    "Numbers",
    (
        Option("num_steps", int, 25, typer.Option("--steps", help="Denoising steps.")),
        Option("weights", list[float] | None, None, typer.Option("--weight")),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Place:
    PANEL: ClassVar[str] = "The place"

    folder: Annotated[str, typer.Option(help="A folder.")]
    force: Annotated[bool, typer.Option("--force")] = False


def invoke(*arguments: str) -> Result:
    app = typer.Typer()

    @app.command()
    @with_option_groups
    def show(
        name: Annotated[str, typer.Argument()],
        place: Place,
        numbers: Annotated[Mapping[str, Any], TABLE],
        verbose: Annotated[bool, typer.Option("--verbose")] = False,
    ) -> None:
        """Show the values."""
        typer.echo(f"{name} {place} {numbers} {verbose}")

    return CliRunner().invoke(app, arguments)


def test_values_arrive_in_their_groups() -> None:
    result = invoke("x", "--folder", "/f", "--force", "--weight", "1", "--weight", "0.5")
    assert result.exit_code == 0, result.output
    place = Place(folder="/f", force=True)
    numbers = {"num_steps": 25, "weights": [1.0, 0.5]}
    assert result.stdout == f"x {place} {numbers} False\n"


def test_flags_and_defaults_of_a_table() -> None:
    result = invoke("x", "--folder", "/f", "--steps", "4", "--verbose")
    assert "{'num_steps': 4, 'weights': None} True" in result.stdout


def test_an_option_without_a_default_is_required() -> None:
    result = invoke("x")
    assert result.exit_code == 2
    assert "--folder" in result.stderr


def test_help_has_a_panel_for_each_group() -> None:
    lines = invoke("--help").stdout.splitlines()
    assert any("Show the values." in line for line in lines)
    panels = [line.split()[1] for line in lines if line.startswith("╭─")]
    assert panels == ["Arguments", "Options", "The", "Numbers"]
    folder = next(line for line in lines if "--folder" in line)
    assert "A folder." in folder


def test_two_options_of_one_name_are_rejected() -> None:
    def twice(place: Place, folder: Annotated[str, typer.Option()] = "") -> None:
        """Never called."""

    with pytest.raises(ValueError, match="folder"):
        with_option_groups(twice)
