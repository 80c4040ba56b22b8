"""`uso replay`: draws recorded rows again, and says whether the images are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.log import log_to
from jobs.outputs import hint_at_config
from jobs.secret_settings import resolved_storage
from pipelines.config.schema import RunConfig
from pipelines.config.telemetry import LoggingConfig
from pipelines.errors import ReplayError
from pipelines.ledger.records import Records
from pipelines.replay.chosen import Choice, ChosenRecords, choose
from pipelines.replay.replay import Replay
from pipelines.replay.verdict import ReplayCounts, Result, Verdict
from pipelines.storage.storage import Storage

if TYPE_CHECKING:
    from pipelines.dispatch.workers import WatchedPool
    from pipelines.worker.spec import StylizerSpec

_MOST_SHOWN = 20
LABELS: Mapping[Result, str] = {
    "equal": "byte-equal",
    "within_tolerance": "within the preset's tolerance",
    "different": "different",
}
"""The results in words."""


@dataclass(frozen=True, slots=True)
class ReplayCommand:
    """The arguments of `uso replay`.

    Attributes:
        output: the folder or URL of the output.
        choice: the rows.
        config_path: the YAML file to draw with; None: the configurations in the output.
        overrides: values that replace those of the configuration, each as `a.b=c`.
        as_json: print one JSON document instead of text.
    """

    output: str
    choice: Choice
    config_path: Path | None
    overrides: Sequence[str]
    as_json: bool


def replay_command(command: ReplayCommand) -> int:
    """Draw the rows, print the verdicts, and return the exit code; the output stays as it is."""
    counts, shown = ReplayCounts(), _Shown(None if command.as_json else _MOST_SHOWN)
    with exits.exit_on_error(), hint_at_config(command.config_path):
        log_to(terminal.err(), LoggingConfig())
        config = None
        if command.config_path is not None:
            config = RunConfig.from_yaml(command.config_path, command.overrides)
        options = {} if config is None else resolved_storage(config)
        output = Storage.at(command.output, options, create=False)
        if not output.exists("records"):
            raise ReplayError(f"{output.uri()}: no records; check the path")
        records = Records(output)
        chosen = choose(records, command.choice)
        counts.left_out = chosen.left_out
        _check_rows(output, chosen)
        with terminal.progress_bars(TimeRemainingColumn()) as progress:
            replay = Replay(
                output, records, chosen, _threads, config, tuple(command.overrides),
                _shown_on(progress, chosen.rows),
            )  # fmt: skip
            for verdict in replay.verdicts():
                counts.add(verdict)
                shown.add(verdict)
                progress.advance(progress.task_ids[0])
    code = exits.DONE if counts.is_reproduced else exits.DIFFERS
    if command.as_json:
        facts = {"output": output.uri(), **counts.as_dict()}
        del facts["examples"]
        verdicts = [verdict.as_dict() for verdict in shown.verdicts]
        terminal.print_json({**facts, "verdicts": verdicts})
        return code
    console = terminal.out()
    terminal.fact(console, "output", output.uri())
    for label, text in _facts(counts):
        terminal.fact(console, label, text)
    shown.print(console, counts)
    return code


def _check_rows(output: Storage, chosen: ChosenRecords) -> None:
    if chosen.rows:
        return
    failed = f"; {chosen.left_out:,} have failed" if chosen.left_out else ""
    raise ReplayError(
        f"{output.uri()}: no completed row to draw again{failed}. A failed row has no image to "
        "compare: uso run --retry-failed tries it again"
    )


@contextmanager
def _threads(spec: StylizerSpec, config: RunConfig) -> Iterator[WatchedPool]:
    """Work in threads of this process."""
    # Imported late: torch loads for seconds, and wrong arguments end the command first.
    from pipelines.driver.thread_pool import ThreadPool  # noqa: PLC0415
    from pipelines.worker.stylizer import Stylizer  # noqa: PLC0415

    with closing(ThreadPool(spec, config.stylize, Stylizer)) as pool:
        yield pool


class _Shown:
    """The verdicts to show: all, or the first ones, of which different ones come first."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._different: list[Verdict] = []
        self._others: list[Verdict] = []

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """The verdicts, sorted by id."""
        return sorted([*self._different, *self._others], key=lambda verdict: verdict.row_id)

    def add(self, verdict: Verdict) -> None:
        """Take a verdict."""
        kept = self._different if verdict.result == "different" else self._others
        if self._most is None or len(kept) < self._most:
            kept.append(verdict)

    def print(self, console: Console, counts: ReplayCounts) -> None:
        """Print a table: of all rows, or of the first ones that are not equal."""
        verdicts = self.verdicts
        if counts.rows > len(verdicts):
            verdicts = [each for each in verdicts if each.result != "equal"][: self._most]
        if verdicts:
            console.print(_table(verdicts))
        if counts.rows > len(verdicts) and not counts.is_reproduced:
            console.print("--json lists every row.")


def _table(verdicts: Sequence[Verdict]) -> Table:
    table = Table(title="Rows", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("id", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for verdict in verdicts:
        # An equal row has no reason, but a change that made no difference is worth a look.
        reason = verdict.reasons
        cells = (terminal.one_line(verdict.row_id, 40), LABELS[verdict.result])
        table.add_row(*map(Text, cells), Text(terminal.one_line(reason, 600)))
    return table


def _facts(counts: ReplayCounts) -> Iterator[tuple[str, str]]:
    left_out = f"; {counts.left_out:,} failed rows left out" if counts.left_out else ""
    yield "drawn", f"{counts.rows:,} rows again{left_out}"
    for result, label in LABELS.items():
        if counts.results[result] or result == "equal":
            yield "", f"{counts.results[result]:,} {label}"
    for (kind, name), rows in counts.differences.most_common(_MOST_SHOWN):
        plural = "" if rows == 1 else "s"
        yield "changed", f"{name} ({kind.replace('_', ' ')}), for {rows:,} row{plural}"


def _shown_on(progress: Progress, total: int) -> Any:  # noqa: ANN401
    task = progress.add_task("rows", total=total)

    def show(step: str) -> None:
        progress.update(task, description=step)

    return show
