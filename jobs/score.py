"""`uso score`: measures the images of an output that exists."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
from rich.progress import TimeRemainingColumn

from jobs import exits, terminal
from jobs.secret_settings import resolved_fetch, storage_options
from pipelines.config.inputs import FetchConfig
from pipelines.config.schema import RunConfig
from pipelines.config.scores import ScoresConfig
from pipelines.errors import ConfigError
from pipelines.ledger.lease import Lease
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.part_digests import save_part_digests
from pipelines.ledger.records import Records
from pipelines.ledger.score_facts import check_score_facts, read_score_facts, save_score_facts
from pipelines.ledger.score_means import mean_scores
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from pipelines.tools.scoring.score import OutputScorer, ScoreCounts, check_is_free
from pipelines.worker.scores.plugin import Scores
from pipelines.worker.scores.registry import BUILT_IN, ChosenScorer, chosen_scorers
from pipelines.worker.scores.stored import StoredImages


@dataclass(frozen=True, slots=True)
class ScoreCommand:
    """The arguments of `uso score`.

    Attributes:
        output: the folder or URL of the output.
        scores: names of scores; None: the ones of the configuration, or all built-in ones.
        config_path: the YAML file with scores, storage options and settings of fetches, or None.
        again: measure all rows, also the ones that have the scores.
        as_json: print one JSON object instead of text.
    """

    output: str
    scores: str | None
    config_path: Path | None
    again: bool
    as_json: bool


def score_command(command: ScoreCommand) -> int:
    """Add scores to the records of an output, and return the exit code. Safe to repeat."""
    with exits.exit_on_error():
        config = None if command.config_path is None else RunConfig.from_yaml(command.config_path)
        chosen = chosen_scorers(_wanted(command, config))
        options = storage_options(command.config_path)
        fetch = FetchConfig() if config is None else resolved_fetch(config)
        output = Storage.at(command.output, options, create=False)
        if not output.exists("records"):
            raise ConfigError(f"{output.uri()}: no records; check the path")
        scores = Scores(chosen)
        with closing(StoredImages(scores, fetch, options)) as images:
            counts = _measured(command, output, chosen, scores, images)
        means = mean_scores(Records(output))
    if command.as_json:
        found = {"output": output.uri(), **asdict(counts), "unread": images.unread}
        terminal.print_json({**found, "scores": means})
        return exits.DONE
    console = terminal.out()
    terminal.fact(console, "output", output.uri())
    terminal.fact(console, "measured", f"{counts.measured:,} rows")
    terminal.fact(console, "known", f"{counts.known:,} rows, which had these scores")
    if counts.lost:
        terminal.fact(console, "lost", f"{counts.lost:,} rows, whose images cannot be read")
    if images.unread:
        text = f"{images.unread:,} images and references: scores that need them are missing"
        terminal.fact(console, "unread", text)
    terminal.fact(console, "scores", terminal.score_means(means))
    return exits.DONE


def _measured(
    command: ScoreCommand,
    output: Storage,
    chosen: tuple[ChosenScorer, ...],
    scores: Scores,
    images: StoredImages,
) -> ScoreCounts:
    facts = [each.facts() for each in chosen]
    check_is_free(output)
    if not command.again:
        check_score_facts(read_score_facts(output), facts)
    run_id = f"score-{secrets.token_hex(4)}"
    with (
        Lease(output, run_id) as lease,
        terminal.progress_bars(TimeRemainingColumn()) as progress,
    ):
        schema = record_schema(pa.schema([]))  # no row is added
        ledger = Ledger.open(output, schema, run_id, taken_from=lease.taken_from)
        save_score_facts(output, facts, replace=command.again)
        task = progress.add_task("rows", total=ledger.counts().completed)
        scorer = OutputScorer(output, ledger, lease, scores, images, command.again)
        counts = scorer.add_scores(lambda rows: progress.advance(task, rows))
        ledger.compact()
        save_part_digests(output)
    return counts


def _wanted(command: ScoreCommand, config: RunConfig | None) -> ScoresConfig:
    configured = {} if config is None else config.scores
    if command.scores is None:
        return configured or {BUILT_IN: {}}
    names = [name.strip() for name in command.scores.split(",") if name.strip()]
    return {name: configured.get(name, {}) for name in names}
