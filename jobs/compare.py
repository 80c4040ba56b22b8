"""`uso compare`: two outputs over the same rows, by every score."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.outputs import hint_at_config
from jobs.secret_settings import resolved_fetch, resolved_storage
from pipelines.config.schema import RunConfig
from pipelines.errors import ReportError
from pipelines.storage.patience import LOOK_S
from pipelines.storage.storage import Storage
from pipelines.tools.compare.comparison import Comparison, SideCounts, compare, paired
from pipelines.tools.compare.examples import examples, extremes
from pipelines.tools.compare.figures import (
    FEW_TEXT,
    interval_text,
    number,
    share,
    signed,
    verdict_text,
)
from pipelines.tools.compare.measuring import measure
from pipelines.tools.compare.page import PageOptions, write_page
from pipelines.tools.compare.sides import Side, read_side
from pipelines.tools.report.pictures import Places
from pipelines.worker.scores.registry import BUILT_IN, chosen_scorers

_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """The arguments of `uso compare`.

    Attributes:
        a: the folder or URL of the first output.
        b: the folder or URL of the second output.
        out: the folder or URL of the page; None: no page is written.
        pairs: pairs that the page shows for each score.
        measure: measure the scores that rows lack, of the file at `config_path` or the built-in.
        config_path: the YAML file with the storage options, the fetch policy and the scores to
            measure; None: defaults.
        as_json: print one JSON object instead of text.
    """

    a: str
    b: str
    out: str | None = None
    pairs: int = 24
    measure: bool = False
    config_path: Path | None = None
    as_json: bool = False


def compare_command(request: CompareRequest) -> int:
    """Print the comparison and return the exit code. Changes nothing in the outputs."""
    with exits.exit_on_error(), hint_at_config(request.config_path):
        settings = _settings(request.config_path)
        storage, options = settings.page.storage_options, settings.page
        a, b = (Storage.at(each, storage, patience_s=LOOK_S) for each in (request.a, request.b))
        here, there = read_side(a), read_side(b)
        ids = paired(here, there)
        if request.measure:
            _measure(((a, here), (b, there)), ids, settings)
        found = compare(here, there, ids)
        _check(found, measured=request.measure)
        index = None
        if request.out is not None:
            places = Places(run=a, out=Storage.at(request.out, storage), other=b)
            chosen = extremes(here, there, ids, found, request.pairs)
            names = [score.name for score in found.scores]
            shown = examples((a, b), (here, there), chosen, names)
            index = write_page(places, found, shown, options, _progress("thumbnails"))
    if request.as_json:
        terminal.print_json(_as_dict(found, index))
    else:
        _print(found, index, terminal.out())
    return exits.DONE


@dataclass(frozen=True, slots=True)
class _Settings:
    """Settings for reading pictures, and the scores of the configuration."""

    page: PageOptions
    scores: Mapping[str, Mapping[str, Any]]


def _settings(config_path: Path | None) -> _Settings:
    if config_path is None:
        return _Settings(PageOptions(), {BUILT_IN: {}})
    config = RunConfig.from_yaml(config_path)
    options = PageOptions(resolved_fetch(config), resolved_storage(config))
    return _Settings(options, config.scores or {BUILT_IN: {}})


def _measure(
    outputs: Sequence[tuple[Storage, Side]], ids: Sequence[str], settings: _Settings
) -> None:
    chosen, page = chosen_scorers(settings.scores), settings.page
    done = measure(
        outputs, ids, chosen, page.fetch, page.storage_options, _progress("rows measured")
    )
    if done.unread:
        terminal.err().print(f"{done.unread:,} pictures could not be read", soft_wrap=True)


def _check(found: Comparison, *, measured: bool) -> None:
    """Refuse a comparison of nothing.

    Raises:
        ReportError: the message says what A and B lack.
    """
    a, b = found.a, found.b
    if not found.pairs:
        raise ReportError(
            f"{b.output} completed no row that {a.output} completed: rows are paired by their ids; "
            "give two outputs of one manifest"
        )
    if not found.scores:
        reasons = "; ".join(f"{name}: {why}" for name, why in found.not_compared.items())
        raise ReportError(
            f"{a.output} and {b.output} have no score in common"
            f"{f' ({reasons})' if reasons else ''}: "
            + (
                "none of these could be measured, either"
                if measured
                else "--measure computes scores of the stored images"
            )
        )


def _progress(step: str) -> Callable[[int, int], None]:
    pace, console = terminal.Pace(_EVERY_S), terminal.err()

    def show(done: int, total: int) -> None:
        if pace.due(anyway=False):
            console.print(f"{step}: {done:,} of {total:,}", soft_wrap=True)

    return show


def _as_dict(found: Comparison, index: str | None) -> dict[str, Any]:
    scores = [{**asdict(score), "verdict": score.verdict} for score in found.scores]
    return {**asdict(found), "scores": scores, "page": index}


def _print(found: Comparison, index: str | None, console: Console) -> None:
    for label, side in (("A", found.a), ("B", found.b)):
        uri = terminal.one_line(side.output)
        console.print(f"{label}        {uri}: {_counts(side)}", soft_wrap=True)
    both = f", {found.failed_in_both:,} failed in both" if found.failed_in_both else ""
    console.print(f"pairs    {found.pairs:,} rows completed in A and B{both}")
    if found.other_references:
        ids = ", ".join(terminal.one_line(each, 60) for each in found.other_references_examples)
        text = f"{found.other_references:,} pairs with other content or style images in B: {ids}"
        more = ", …" if found.other_references > len(found.other_references_examples) else ""
        console.print(f"differ   {text}{more}", soft_wrap=True)
    console.print(_table(found))
    if found.has_few:
        console.print(f"note     {FEW_TEXT}", soft_wrap=True)
    for name, reason in found.not_compared.items():
        console.print(f"not compared: {terminal.one_line(name)}: {reason}", soft_wrap=True)
    if index is not None:
        uri = terminal.one_line(index)
        console.print(f"wrote    {uri}", soft_wrap=True)
        if "://" not in uri:
            opener = "open" if sys.platform == "darwin" else "xdg-open"
            console.print(f"see it   {opener} {shlex.quote(uri)}", soft_wrap=True)


def _counts(side: SideCounts) -> str:
    counts = [f"{side.completed:,} completed", f"{side.failed:,} failed"]
    if side.failed_here:
        counts.append(f"{side.failed_here:,} failed only here")
    if side.only_here:
        counts.append(f"{side.only_here:,} only here")
    return ", ".join(counts)


def _table(found: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("score")
    for title in ("mean A", "mean B", "B - A", "95 % interval", "B better", "rows"):
        table.add_column(title, justify="right")
    table.add_column("reading")
    for score in found.scores:
        higher = " higher" if score.better == "neither" else ""
        cells = (
            terminal.one_line(score.name),
            number(score.mean_a),
            number(score.mean_b),
            signed(score.difference),
            interval_text(score),
            f"{share(score.share_b_better)}{higher}",
            f"{score.rows:,}",
            verdict_text(score),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table
