"""Summary at the end of a run: counts, failures with examples, and the next commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.outputs import left_out_text, replay_text
from jobs.pack import print_dataset

if TYPE_CHECKING:
    from pipelines.driver.summary import RunSummary


def exit_code(summary: RunSummary) -> int:
    """Return the exit code of `uso run` for a run that ended."""
    if summary.interrupted:
        return exits.INTERRUPTED
    if not summary.within_budget:
        return exits.OVER_BUDGET
    return exits.DONE if summary.is_reproduced else exits.DIFFERS


def as_dict(summary: RunSummary) -> dict[str, Any]:
    """Return the summary of a run as JSON values; moments are in ISO 8601."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(summary), default=str))
    return {**values, "exit_code": exit_code(summary)}


def print_summary(
    summary: RunSummary,
    max_failed_fraction: float,
    console: Console,
    status_options: Sequence[str] = (),
    config_path: Path | str = "CONFIG",
) -> None:
    """Print the summary of a run, and the commands that show its output.

    Args:
        summary: the counts of the run.
        max_failed_fraction: the failure budget of the run, 0 to 1.
        console: the console to print on.
        status_options: the options that `uso status` needs to reach the output.
        config_path: the YAML file of the run.
    """
    console.print(_headline(summary, max_failed_fraction))
    console.print(_counts(summary))
    if summary.failures:
        console.print(terminal.failure_table(_failures(summary)))
    if summary.dataset is not None:
        print_dataset(summary.dataset, console)
    for label, text in _output_lines(summary.output_uri, status_options):
        console.print(f"{label:<9}{text}", soft_wrap=True)
    if summary.new_values:
        console.print(f"updated  {_new_values(summary.new_values)}")
    if summary.left_out:
        console.print(f"left out {left_out_text(summary.left_out, None)}")
        command = ["uso", "prune", summary.output_uri, str(config_path)]
        text = shlex.join(map(terminal.one_line, command))
        console.print(f"prune    {text}", soft_wrap=True)
    if summary.interrupted:
        console.print("resume   run the same command again: it generates only the missing rows")
    elif summary.failed_fraction:
        console.print("retry    after a repair, run the same command with --retry-failed")


def _new_values(count: int) -> str:
    return f"{count:,} record{'s' if count != 1 else ''} took new values of other columns"


def _headline(summary: RunSummary, max_failed_fraction: float) -> Text:
    if summary.interrupted:
        return Text("Interrupted. Existing records stay.", style="bold yellow")
    if summary.within_budget and not summary.is_reproduced:
        return Text("Done, but rows that were drawn again are different.", style="bold red")
    if summary.within_budget:
        return Text("Done.", style="bold green")
    return Text(
        f"Done, but {summary.failed_fraction:.2%} of the rows failed; "
        f"on_error.max_failed_fraction allows {max_failed_fraction:.2%}.",
        style="bold red",
    )


def _counts(summary: RunSummary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_row("completed", f"{summary.completed:,}", f"{summary.images:,} images")
    table.add_row(
        "failed", f"{summary.failed:,}", f"{summary.failed_fraction:.2%} of all recorded rows"
    )
    table.add_row("skipped", f"{summary.skipped:,}", "recorded by an earlier run")
    if summary.changed:
        table.add_row("changed", f"{summary.changed:,}", "since an earlier run recorded them")
    if summary.lost_images:
        table.add_row("lost", f"{summary.lost_images:,}", "images missing or damaged, drawn again")
    if summary.flagged:
        table.add_row("flagged", f"{summary.flagged:,}", "images, by the safety check")
    for cells in _later_work(summary):
        table.add_row(*cells)
    speed = f"{summary.images_per_s:.2f} images/s"
    table.add_row("time", terminal.duration(summary.elapsed_s), speed)
    if reused := ", ".join(_reused(summary)):
        table.add_row("reused", "", reused)
    if summary.undelivered_events:
        table.add_row("notify", f"{summary.undelivered_events:,}", "events were not delivered")
    return table


def _later_work(summary: RunSummary) -> Iterator[tuple[str, str, str]]:
    """Yield the cells of further tries, scores and rows that were drawn again."""
    if summary.extra_images or summary.failed_tries:
        failed = f"; {summary.failed_tries:,} tries failed" if summary.failed_tries else ""
        yield "tries", f"{summary.extra_images:,}", f"images of further tries{failed}"
    if summary.scores:
        yield "scores", "", terminal.score_means(summary.scores)
    if summary.replay is not None:
        yield "replayed", f"{summary.replay['rows']:,}", replay_text(summary.replay)


def _reused(summary: RunSummary) -> Iterator[str]:
    """Yield each kind of cache with the share of look-ups that it answered."""
    for kind, found in summary.caches.items():
        if found.count:
            yield f"{kind} {found.hits / found.count:.0%}"


def _failures(summary: RunSummary) -> Iterator[terminal.FailureRow]:
    for failure in summary.failures:
        yield terminal.FailureRow(failure.code, failure.count, failure.row_id, failure.message)


def _output_lines(output_uri: str, status_options: Sequence[str]) -> list[tuple[str, str]]:
    output = terminal.one_line(output_uri)
    command = ["uso", "status", output, *map(terminal.one_line, status_options), "--rows", "20"]
    return [
        ("output", output),
        ("see it", shlex.join(command)),
        ("", f"duckdb -c {_query(output)}"),
    ]


def _query(output: str) -> str:
    """Return an SQL query as a shell argument, in the most readable quotes."""
    records = f"{output}/records/*.parquet".replace("'", "''")
    query = f"FROM '{records}' SELECT id, status, outputs, error.code"
    return shlex.quote(query) if set(query) & set('"$`\\!') else f'"{query}"'
