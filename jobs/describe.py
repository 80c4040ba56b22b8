"""`uso describe`: shows the parts of a run. Starts nothing, and loads neither Ray nor torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from pipelines.config.redaction import redacted
from pipelines.config.schema import RunConfig
from pipelines.errors import ManifestError, StorageError
from pipelines.fields.cells import MAX_ID_LENGTH
from pipelines.fields.table import ALIASES, FIELDS
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.source import LOOKING
from pipelines.record import record_schema
from pipelines.storage.urls import is_uri, redact_uri
from pipelines.worker.image_plugins import chosen_plugins
from pipelines.worker.plugin_chain import plugin_columns
from pipelines.worker.scores.registry import chosen_scorers
from uso_core.errors import CheckpointError
from uso_core.families import assumed_card, describe_model
from uso_core.loading.demo import DEMO
from uso_core.loading.source import ModelCard
from uso_core.request import Limits


@dataclass(frozen=True, slots=True)
class _Fact:
    """One line: a label and a text, or the problem that stands in its place."""

    label: str
    text: str
    is_problem: bool = False


@dataclass(frozen=True, slots=True)
class _Section:
    """A table: its title, its columns and its rows of texts."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def describe_command(config_path: Path, overrides: Sequence[str], *, as_json: bool = False) -> int:
    """Print the stages, resources and columns of a run, and return the exit code.

    The model's files and the manifest are inspected, but not read. A problem with one of them is
    printed in its place and again at the end, and makes the exit code 2.
    """
    with exits.exit_on_error():
        config = RunConfig.from_yaml(config_path, overrides)
        chosen_plugins(config)
    card, model = _model(config)
    extra, manifest = _manifest(config, card)
    limits = Limits() if card is None else card.limits
    resources = [_Fact(label, text) for label, text in _resources(config)]
    sections = (
        _stages(config), _manifest_columns(config, limits), _record_columns(config, extra)
    )  # fmt: skip
    problems = [fact for fact in (model, manifest) if fact.is_problem]
    if as_json:
        terminal.print_json(_as_dict([model, manifest, *resources], sections))
    else:
        _print([model, manifest], sections[0], resources, sections[1:], terminal.out())
    for problem in problems:  # again, because the tables have moved the first mention out of sight
        exits.print_error(problem.text)
    return exits.WRONG_INPUT if problems else exits.DONE


def _as_dict(facts: Sequence[_Fact], sections: Sequence[_Section]) -> dict[str, Any]:
    stages, manifest_columns, record_columns = (
        [dict(zip(section.columns, row, strict=True)) for row in section.rows]
        for section in sections
    )
    return {
        "facts": {fact.label: fact.text for fact in facts if not fact.is_problem},
        "problems": {fact.label: fact.text for fact in facts if fact.is_problem},
        "stages": stages,
        "manifest_columns": manifest_columns,
        "record_columns": record_columns,
    }


def _print(
    inputs: Sequence[_Fact],
    stages: _Section,
    resources: Sequence[_Fact],
    columns: Sequence[_Section],
    console: Console,
) -> None:
    for fact in inputs:
        _print_fact(fact, console)
    console.print(_table(stages))
    for fact in resources:
        _print_fact(fact, console)
    for section in columns:
        console.print(_table(section))
    console.print("Nothing was started.")


def _print_fact(fact: _Fact, console: Console) -> None:
    if not fact.is_problem:
        terminal.fact(console, fact.label, fact.text)
        return
    text = terminal.lines(fact.text)
    line = Text.assemble(f"{fact.label:<11}", ("error: ", "bold red"), text)
    console.print(line, soft_wrap=True)


def _model(config: RunConfig) -> tuple[ModelCard | None, _Fact]:
    model = config.model
    if any(map(is_uri, model.locations)):
        later = "a run pulls and inspects its files when it starts"
        return None, _Fact("model", f"{redact_uri(model.base)}: {later}")
    try:
        card = describe_model(model.source)
    except CheckpointError as error:
        return None, _Fact("model", str(error), is_problem=True)
    text = f"{card.name}, dtype {model.dtype}, device {model.device}{_kind(card, model.base)}"
    return card, _Fact("model", text)


def _kind(card: ModelCard, base: str) -> str:
    if base == DEMO:
        return "; a toy in this package, trained on a CPU"
    return "; random weights, which generate noise" if card.layout == "tiny" else ""


def _manifest(config: RunConfig, card: ModelCard | None) -> tuple[pa.Schema, _Fact]:
    try:
        manifest = Manifest.open(config, card or assumed_card(config.model.base), LOOKING)
    except (ManifestError, StorageError) as error:
        return pa.schema([]), _Fact("manifest", str(error), is_problem=True)
    paths = map(redact_uri, config.manifest.paths)
    rows = (
        "number of rows unknown until the run reads them"
        if manifest.total_rows is None
        else f"{manifest.total_rows:,} rows"
    )
    return manifest.extra_schema, _Fact("manifest", f"{', '.join(paths)}: {rows}")


def _stages(config: RunConfig) -> _Section:
    fetch, stylize, output = config.fetch, config.stylize, config.output
    device = "GPU" if stylize.gpus_per_actor else "CPU"
    rows = (
        ("read", "driver", "manifest → rows", "checked; recorded rows are skipped"),
        (
            "fetch",
            "actor",
            "row → images",
            f"{fetch.concurrency} at a time, {fetch.timeout_s:g} s each",
        ),
        ("condition", f"actor, {device}", "images, prompt → tokens, latents", "once per row"),
        ("denoise", f"actor, {device}", "noise → latents", "num_steps per image"),
        ("decode", f"actor, {device}", "latents → RGB image", ""),
        *_check(config),
        *_signature(config),
        ("store", "actor", f"image → {output.format}", redact_uri(output.path)),
        (
            "record",
            "driver",
            "outcome → record",
            f"a part every {output.commit_seconds:g} s or {output.commit_rows:,} rows",
        ),
    )
    packed = f"images, records → {output.layout}", f"about {output.shard_images:,} images per shard"
    more = () if output.layout == "images" else (("pack", "Ray task", *packed),)
    return _Section("Stages", ("stage", "on", "in → out", "notes"), (*rows, *more))


def _check(config: RunConfig) -> Iterator[tuple[str, str, str, str]]:
    safety = config.safety
    if safety.mode != "off":
        note = f"{safety.checker}: {safety.mode} from {safety.threshold:g}"
        yield "check", "actor, CPU", "RGB image → score", note
    scores = [each.find().name for each in chosen_scorers(config.scores)]
    if scores:
        yield "score", "actor, CPU", "RGB image → numbers", ", ".join(scores)


def _signature(config: RunConfig) -> Iterator[tuple[str, str, str, str]]:
    provenance = config.output.provenance
    if provenance.c2pa:
        with_what = redact_uri(provenance.signer) if provenance.signer else provenance.key
        yield "sign", "actor, CPU", f"{config.output.format} → signed file", f"C2PA, {with_what}"


def _resources(config: RunConfig) -> Iterator[tuple[str, str]]:
    stylize = config.stylize
    low, high = stylize.min_actors, stylize.max_actors
    count = f"{high}" if isinstance(stylize.actors, int) else f"{low} to {high}"
    most = stylize.most_rows_in_flight
    each = f"each with {stylize.gpus_per_actor:g} GPUs and {stylize.cpus_per_actor:g} CPUs"
    gpus, cpus = high * stylize.gpus_per_actor, high * stylize.cpus_per_actor
    yield "actors", f"{count}, {each}: at most {gpus:g} GPUs and {cpus:g} CPUs"
    yield "in flight", f"at most {most} rows per actor, {high * most:,} in all"
    yield "ray", f"address {config.ray.address}"
    yield "budget", f"{config.on_error.max_failed_fraction:.2%} of the rows may fail"


def _manifest_columns(config: RunConfig, limits: Limits) -> _Section:
    mapped = {ALIASES.get(ours, ours): theirs for ours, theirs in config.manifest.columns.items()}
    defaults = {k: v for k, v in redacted(config)["defaults"].items() if v is not None}
    rows = [
        (
            f"{name} ({mapped[name]})" if name in mapped else name,
            kind,
            str(defaults.get(name, default)),
            accepted,
        )
        for name, kind, default, accepted in _accepted(limits)
    ]
    return _Section("Manifest: one row in", ("column", "type", "default", "accepted"), rows)


def _accepted(limits: Limits) -> Iterator[tuple[str, str, str, str]]:
    yield "id", "string or integer", "hash of the row", f"unique, 1 to {MAX_ID_LENGTH} characters"
    for field in FIELDS:
        yield field.name, field.kind.label, field.default_text(limits), field.range_text(limits)


def _record_columns(config: RunConfig, extra: pa.Schema) -> _Section:
    values = plugin_columns(chosen_plugins(config), extra)
    notes = dict.fromkeys(values.names, "one per image")
    notes |= dict.fromkeys(extra.names, "from the manifest")
    rows = [
        (field.name, str(field.type), notes.get(field.name, ""))
        for field in record_schema(extra, values)
    ]
    return _Section("Records: one row out", ("column", "type", "notes"), rows)


def _table(section: _Section) -> Table:
    table = Table(title=section.title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in section.columns:
        table.add_column(column, overflow="fold")
    for row in section.rows:
        table.add_row(*(Text(terminal.one_line(cell)) for cell in row))
    return table
