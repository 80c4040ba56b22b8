"""`uso validate`: finds the problems of a manifest and its images before a run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import TimeRemainingColumn

from jobs import exits, terminal
from jobs.problems import print_problems, problems_as_list
from jobs.secret_settings import resolved_fetch, resolved_storage
from jobs.validate_fetch import Fetched, FetchOptions, ReferenceFetch, checks_of, parts_of
from pipelines.checks.names import check_names
from pipelines.config.schema import RunConfig
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.source import LOOKING
from pipelines.tools.planning.model import InspectedModel, inspect_model
from pipelines.tools.problems import Findings, findings
from pipelines.tools.validation.check import CheckSpec
from pipelines.tools.validation.row_check import RowCheck, check_rows
from pipelines.worker.image_plugins import chosen_plugins


@dataclass(frozen=True, slots=True)
class ValidateRequest:
    """The options of the command.

    Attributes:
        fetch: the references to fetch, and the place of the problems.
        as_json: print one JSON document instead of text.
    """

    fetch: FetchOptions
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class _Validated:
    rows: RowCheck
    fetched: Fetched
    found: Findings


def validate_command(config_path: Path, overrides: Sequence[str], request: ValidateRequest) -> int:
    """Check the manifest of a run, print its problems, and return the exit code.

    Args:
        config_path: the YAML file of the run.
        overrides: values that replace those of the file, each as `a.b=c`.
        request: the other options.
    """
    with exits.exit_on_error():
        config = RunConfig.from_yaml(config_path, overrides)
        chosen_plugins(config)
        inspected = inspect_model(config.model, resolved_storage(config))
        validated = _validate(config, inspected, request.fetch)
    if request.as_json:
        terminal.print_json(_as_dict(validated))
    else:
        _print(validated, inspected, request.fetch.problems, terminal.out())
    return exits.WRONG_INPUT if validated.found.errors else exits.DONE


def _validate(config: RunConfig, inspected: InspectedModel, options: FetchOptions) -> _Validated:
    stores = resolved_storage(config)
    manifest = Manifest.open(config, inspected.card, LOOKING)
    if config.output.name is not None:
        check_names(manifest, config.output.encoding.extension)
    spec = CheckSpec(resolved_fetch(config), stores, inspected.card.limits)
    fetched = Fetched()
    with (
        ExitStack() as after_all,  # the results so far are kept until the problems are written
        findings(options.problems, stores) as found,
        terminal.progress_bars(TimeRemainingColumn()) as progress,
    ):
        task = progress.add_task("rows", total=manifest.total_rows)
        rows = check_rows(manifest, found, lambda n: progress.advance(task, n))
        if options.fetch is not None:
            parts = after_all.enter_context(parts_of(options, spec))
            with checks_of(options, config) as checks:
                fetch = ReferenceFetch(manifest, options.fetch, spec, checks, parts)
                fetched = fetch.run(found, progress, rows.references)
    return _Validated(rows, fetched, found)


def _as_dict(validated: _Validated) -> dict[str, Any]:
    rows, fetched, found = validated.rows, validated.fetched, validated.found
    return {
        "rows": rows.rows,
        "valid": rows.accepted,
        "references": rows.references,
        "fetched": fetched.references,
        "fetched_before": fetched.recorded,
        "images_read": fetched.facts.images,
        "image_bytes": fetched.facts.num_bytes,
        "errors": found.errors,
        "problems": problems_as_list(found),
    }


def _print(
    validated: _Validated, inspected: InspectedModel, problems: str | None, console: Console
) -> None:
    rows, fetched = validated.rows, validated.fetched
    if inspected.unknown:
        console.print(f"model       {terminal.one_line(inspected.unknown)}", soft_wrap=True)
    console.print(f"limits      {terminal.one_line(inspected.sizes)}", soft_wrap=True)
    console.print(f"rows        {rows.rows:,}, {rows.accepted:,} of them valid")
    how = "not fetched (--fetch all or --fetch N)"
    if fetched.references:
        before = f", {fetched.recorded:,} of them by an interrupted check" * bool(fetched.recorded)
        how = f"{fetched.references:,} fetched{before}"
    console.print(f"references  {rows.references:,} different, {how}")
    facts = fetched.facts
    if facts.smallest is not None:
        size = f"{facts.num_bytes / 1e6:,.1f} MB, {facts.smallest} to {facts.largest} pixels"
        console.print(f"images      {facts.images:,} read, {size}")
    print_problems(validated.found, problems, console)
