"""`uso validate`: finds the problems of a manifest and its images before a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import TimeRemainingColumn

from jobs import exits, terminal
from jobs.problems import print_problems, problems_as_list
from jobs.secret_settings import resolved_fetch, resolved_storage
from pipelines.checks.names import check_names
from pipelines.config.schema import RunConfig
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.source import LOOKING
from pipelines.tools.planning.model import inspect_model
from pipelines.tools.problems import Findings, findings
from pipelines.tools.validation.references import DistinctReferences, Facts, ReferenceCheck
from pipelines.tools.validation.row_check import RowCheck, check_rows
from pipelines.worker.image_plugins import chosen_plugins


@dataclass(frozen=True, slots=True)
class ValidateRequest:
    """The options of the command.

    Attributes:
        fetch: `all`, or the number of different references to fetch; None: no reference.
        problems: the Parquet file for all problems; None: the problems are only counted.
        as_json: print one JSON document instead of text.
    """

    fetch: str | None = None
    problems: str | None = None
    as_json: bool = False


def validate_command(config_path: Path, overrides: Sequence[str], request: ValidateRequest) -> int:
    """Check the manifest of a run, print its problems, and return the exit code.

    Args:
        config_path: the YAML file of the run.
        overrides: values that replace those of the file, each as `a.b=c`.
        request: the other options.
    """
    fetch = request.fetch
    with exits.exit_on_error():
        config = RunConfig.from_yaml(config_path, overrides)
        chosen_plugins(config)
        options = resolved_storage(config)
        inspected = inspect_model(config.model, options)
        manifest = Manifest.open(config, inspected.card, LOOKING)
        if config.output.name is not None:
            check_names(manifest, config.output.encoding.extension)
        check = ReferenceCheck(resolved_fetch(config), options, inspected.card.limits)
        with (
            findings(request.problems, options) as found,
            terminal.progress_bars(TimeRemainingColumn()) as progress,
        ):
            task = progress.add_task("rows", total=manifest.total_rows)
            known = None if fetch is None else DistinctReferences()
            rows = check_rows(manifest, found, lambda n: progress.advance(task, n), known)
            wanted = set() if known is None else known.sample(_sample_size(fetch))
            fetched = len(wanted)  # before the check, which empties the set
            if known is not None and wanted:
                task = progress.add_task("references", total=fetched)
                for some in check.check(manifest.entries(), known, wanted):
                    for problem in some:
                        found.add(problem)
                    progress.advance(task)
    if request.as_json:
        terminal.print_json(_as_dict(rows, fetched, check.facts, found))
        return exits.WRONG_INPUT if found.errors else exits.DONE
    console = terminal.out()
    if inspected.unknown:
        console.print(f"model       {terminal.one_line(inspected.unknown)}", soft_wrap=True)
    console.print(f"limits      {terminal.one_line(inspected.sizes)}", soft_wrap=True)
    _print_counts(rows, fetched, check.facts, console)
    print_problems(found, request.problems, console)
    return exits.WRONG_INPUT if found.errors else exits.DONE


def _as_dict(rows: RowCheck, fetched: int, facts: Facts, found: Findings) -> dict[str, Any]:
    return {
        "rows": rows.rows,
        "valid": rows.accepted,
        "references": rows.references,
        "fetched": fetched,
        "images_read": facts.images,
        "image_bytes": facts.num_bytes,
        "errors": found.errors,
        "problems": problems_as_list(found),
    }


def _sample_size(fetch: str | None) -> int | None:
    return None if fetch in (None, "all") else int(fetch)


def _print_counts(rows: RowCheck, fetched: int, facts: Facts, console: Console) -> None:
    console.print(f"rows        {rows.rows:,}, {rows.accepted:,} of them valid")
    how = f"{fetched:,} fetched" if fetched else "not fetched (--fetch all or --fetch N)"
    console.print(f"references  {rows.references:,} different, {how}")
    if facts.smallest is not None:
        size = f"{facts.num_bytes / 1e6:,.1f} MB, {facts.smallest} to {facts.largest} pixels"
        console.print(f"images      {facts.images:,} read, {size}")
