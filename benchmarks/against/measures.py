"""The measures. Imports little, see `benchmarks.against.trees.run_in`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_GENERATE = """
from pathlib import Path
from benchmarks.report import generate
generate(Path({folder!r}), {rows}, 64)
"""


@dataclass(frozen=True)
class Place:
    """The inputs of one tree for one number of rows.

    Attributes:
        folder: the folder of this tree.
        inputs: the folder that both trees read.
        rows: the number of rows.
    """

    folder: Path
    inputs: Path
    rows: int


@dataclass(frozen=True)
class Measure:
    """One command.

    Attributes:
        arguments: returns the arguments of `python -m`.
        target: the ratio that is aimed at.
        prepare: returns the arguments of `python` that make the output; None: there is none.
        changes_output: True if each round needs the output as it was.
        makes: the name of what the command writes, which is removed before each round.
        bytes_target: the ratio of the bytes of `makes` that is aimed at; None: they do not matter.
        page: the page that is opened in a browser after the last round; None: there is none.
        own_cpu_s: finds CPU seconds in what the command prints, for a command whose children do
            not count; None: they count.
        most_rows: the rows of a measure that takes long; None: as many as the others.
    """

    arguments: Callable[[Place], Sequence[str]]
    target: float
    prepare: Callable[[Place], Sequence[str]] | None = None
    changes_output: bool = False
    makes: str | None = None
    bytes_target: float | None = None
    page: str | None = None
    own_cpu_s: Callable[[str, Place], float] | None = None
    most_rows: int | None = None


def _uso(*arguments: str) -> Callable[[Place], Sequence[str]]:
    def filled(place: Place) -> Sequence[str]:
        names = {"here": str(place.folder), "inputs": str(place.inputs)}
        return ["jobs.cli", *(argument.format(**names) for argument in arguments)]

    return filled


def _recorded(place: Place, step: str) -> list[str]:
    sizes = ["--recorded", str(place.rows), "--left", "100", "--folder", str(place.folder)]
    return ["benchmarks.as_driver", "benchmarks.ledger", "--step", step, *sizes]


def _records(place: Place) -> Sequence[str]:
    return ["-m", *_recorded(place, "build")]


def _generated(place: Place) -> Sequence[str]:
    return ["-c", _GENERATE.format(folder=f"{place.folder}/out", rows=place.rows)]


def _with_ray(place: Place) -> Sequence[str]:
    return ["benchmarks.as_driver", "benchmarks.pipeline", "--memory-here", str(place.rows)]


def _driver_cpu_s(printed: str, place: Place) -> float:
    line = next(line for line in printed.splitlines() if line.startswith("{"))
    found: float = json.loads(line)["driver_cpu_ms_per_row"]
    return found * place.rows / 1e3


MEASURES = {
    "validate": Measure(_uso("validate", "{inputs}/run.yaml"), 10),
    "plan": Measure(_uso("plan", "{inputs}/run.yaml"), 10),
    "manifest from CSV": Measure(
        _uso("manifest", "{here}/m.parquet", "--force", "--from", "{inputs}/rows.csv"), 4
    ),
    "manifest of a grid": Measure(
        _uso(
            *("manifest", "{here}/m.parquet", "--force"),
            *("--prompts", "{inputs}/prompts.txt", "--style", "{inputs}/styles"),
        ),
        1,
    ),
    "resume": Measure(partial(_recorded, step="resume"), 5, _records, changes_output=True),
    "status": Measure(_uso("status", "{here}/out"), 3, _records),
    "report": Measure(
        _uso("report", "{here}/out", "--thumbnails", "none"),
        8,
        _generated,
        makes="out/report",
        bytes_target=5,
        page="out/report/index.html",
    ),
    "pack": Measure(
        _uso("pack", "{here}/out", "--layout", "webdataset"), 1, _generated, makes="out/webdataset"
    ),
    "driver with Ray": Measure(_with_ray, 3, own_cpu_s=_driver_cpu_s, most_rows=10_000),
}
