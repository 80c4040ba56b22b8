"""`uso report`: shows the output of a run on a static page."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from jobs import exits, terminal
from jobs.outputs import hint_at_config, left_out_text
from jobs.report_commands import report_commands
from jobs.secret_settings import resolved_fetch, resolved_storage
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError
from pipelines.storage.filesystems import Options
from pipelines.storage.patience import LOOK_S
from pipelines.storage.storage import Storage
from pipelines.tools.report.pictures import Places
from pipelines.tools.report.report import FOLDER, ReportFacts, ReportOptions, write_report

_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """The arguments of `uso report`.

    Attributes:
        output: the folder or URL of the output.
        against: the output of another run, for a comparison; None: there is no comparison.
        out: the folder or URL of the report; None: the folder `report` in the output.
        thumbnails: the rows that get thumbnails: a number, `all` or `none`.
        config_path: the YAML file with the storage options and the fetch policy; None: defaults.
        as_json: print one JSON object instead of text.
    """

    output: str
    against: str | None
    out: str | None
    thumbnails: str
    config_path: Path | None
    as_json: bool = False


def report_command(request: ReportRequest) -> int:
    """Write the report and return the exit code. Safe to interrupt and to run again."""
    began = time.monotonic()
    console = terminal.out()
    with exits.exit_on_error(), hint_at_config(request.config_path):
        rows = _rows(request.thumbnails)
        places, options = _prepared(request, rows)
        options = replace(options, commands=report_commands(places.run, request.config_path))
        facts = write_report(places, options, _progress(terminal.err()))
    if request.as_json:
        terminal.print_json(asdict(facts))
    else:
        _print(facts, console, time.monotonic() - began)
    return exits.DONE


def _rows(thumbnails: str) -> int | None:
    if thumbnails == "all":
        return None
    if thumbnails == "none":
        return 0
    if not (thumbnails.isascii() and thumbnails.isdigit()):
        raise ConfigError(f"--thumbnails {thumbnails}: give a number of rows, all or none")
    return int(thumbnails)


def _prepared(request: ReportRequest, rows: int | None) -> tuple[Places, ReportOptions]:
    storage_options: Options = {}
    options = ReportOptions(thumbnails=rows)
    if request.config_path is not None:
        config = RunConfig.from_yaml(request.config_path)
        storage_options = resolved_storage(config)
        options = ReportOptions(rows, resolved_fetch(config), storage_options)
    against = request.against
    places = Places(
        run=Storage.at(request.output, storage_options, patience_s=LOOK_S),
        out=Storage.at(request.out or f"{request.output.rstrip('/')}/{FOLDER}", storage_options),
        other=(
            None if against is None else Storage.at(against, storage_options, patience_s=LOOK_S)
        ),
    )
    return places, options


def _progress(console: Console) -> Callable[[str, int, int | None], None]:
    """Return a callback that prints a line when a step begins, and one every few seconds."""
    pace, last_step = terminal.Pace(_EVERY_S), ""

    def show(step: str, done: int, total: int | None) -> None:
        nonlocal last_step
        if not pace.due(anyway=step != last_step):
            return
        begins, last_step = step != last_step, step
        of = "" if total is None else f" of {total:,}"
        console.print(f"{step} …" if begins else f"{step}: {done:,}{of}", soft_wrap=True)

    return show


def _print(facts: ReportFacts, console: Console, seconds: float) -> None:
    uri = terminal.one_line(facts.index_uri)
    console.print(f"wrote    {uri}", soft_wrap=True)
    console.print(f"rows     {facts.rows:,} in {terminal.duration(seconds)}")
    if facts.left_out:
        text = left_out_text(facts.left_out, facts.look)
        console.print(f"left out {text}", soft_wrap=True)
    if facts.unreadable:
        missing = f"missing  {facts.unreadable:,} thumbnails, of unreadable files or inline images"
        console.print(f"{missing}; the page gives the reasons")
    if "://" not in uri:
        opener = "open" if sys.platform == "darwin" else "xdg-open"
        console.print(f"see it   {opener} {shlex.quote(uri)}", soft_wrap=True)
