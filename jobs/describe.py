"""`uso describe`: shows the parts of a run. Starts nothing, and loads neither Ray nor torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

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
from pipelines.record import record_schema
from pipelines.storage.urls import is_uri, redact_uri
from pipelines.worker.image_plugins import chosen_plugins
from pipelines.worker.plugin_chain import plugin_columns
from uso_core.errors import CheckpointError
from uso_core.families import assumed_card, describe_model
from uso_core.loading.source import ModelCard
from uso_core.request import Limits


def describe_command(config_path: Path, overrides: Sequence[str]) -> int:
    """Print the stages, resources and columns of a run, and return the exit code.

    The model's files and the manifest are inspected, but not read. A problem with one of them is
    printed in its place, and makes the exit code 2.
    """
    with exits.exit_on_error():
        config = RunConfig.from_yaml(config_path, overrides)
    console = terminal.out()
    problems: list[Exception] = []
    card = _model(config, console, problems)
    extra = _manifest(config, card, console, problems)
    limits = Limits() if card is None else card.limits
    console.print(_stages(config))
    _resources(config, console)
    console.print(_manifest_columns(config, limits))
    console.print(_record_columns(config, extra))
    console.print("Nothing was started.")
    return exits.WRONG_INPUT if problems else exits.DONE


def _model(config: RunConfig, console: Console, problems: list[Exception]) -> ModelCard | None:
    model = config.model
    base = terminal.one_line(redact_uri(model.base))
    if any(map(is_uri, model.locations)):
        terminal.fact(
            console, "model", f"{base}: a run pulls and inspects its files when it starts"
        )
        return None
    try:
        card = describe_model(model.source)
    except CheckpointError as error:
        _problem(console, "model", error, problems)
        return None
    noise = "; random weights, which generate noise" if card.layout == "tiny" else ""
    terminal.fact(
        console, "model", f"{card.name}, dtype {model.dtype}, device {model.device}{noise}"
    )
    return card


def _manifest(
    config: RunConfig, card: ModelCard | None, console: Console, problems: list[Exception]
) -> pa.Schema:
    try:
        manifest = Manifest.open(config, card or assumed_card(config.model.base))
    except (ManifestError, StorageError) as error:
        _problem(console, "manifest", error, problems)
        return pa.schema([])
    paths = map(redact_uri, config.manifest.paths)
    rows = (
        "number of rows unknown until the run reads them"
        if manifest.total_rows is None
        else f"{manifest.total_rows:,} rows"
    )
    terminal.fact(console, "manifest", f"{', '.join(paths)}: {rows}")
    return manifest.extra_schema


def _stages(config: RunConfig) -> Table:
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
    return _table("Stages", ("stage", "on", "in → out", ""), (*rows, *more))


def _resources(config: RunConfig, console: Console) -> None:
    stylize = config.stylize
    low, high = stylize.min_actors, stylize.max_actors
    count = f"{high}" if isinstance(stylize.actors, int) else f"{low} to {high}"
    most = stylize.most_rows_in_flight
    each = f"each with {stylize.gpus_per_actor:g} GPUs and {stylize.cpus_per_actor:g} CPUs"
    gpus, cpus = high * stylize.gpus_per_actor, high * stylize.cpus_per_actor
    terminal.fact(console, "actors", f"{count}, {each}: at most {gpus:g} GPUs and {cpus:g} CPUs")
    terminal.fact(console, "in flight", f"at most {most} rows per actor, {high * most:,} in all")
    terminal.fact(console, "ray", f"address {config.ray.address}")
    terminal.fact(
        console, "budget", f"{config.on_error.max_failed_fraction:.2%} of the rows may fail"
    )


def _manifest_columns(config: RunConfig, limits: Limits) -> Table:
    mapped = {ALIASES.get(ours, ours): theirs for ours, theirs in config.manifest.columns.items()}
    defaults = {k: v for k, v in redacted(config)["defaults"].items() if v is not None}
    rows = (
        (
            f"{name} ({mapped[name]})" if name in mapped else name,
            kind,
            str(defaults.get(name, default)),
            accepted,
        )
        for name, kind, default, accepted in _accepted(limits)
    )
    return _table("Manifest: one row in", ("column", "type", "default", "accepted"), rows)


def _accepted(limits: Limits) -> Iterator[tuple[str, str, str, str]]:
    yield "id", "string or integer", "hash of the row", f"unique, 1 to {MAX_ID_LENGTH} characters"
    for field in FIELDS:
        yield field.name, field.kind.label, field.default_text(limits), field.range_text(limits)


def _record_columns(config: RunConfig, extra: pa.Schema) -> Table:
    values = plugin_columns(chosen_plugins(config), extra)
    notes = dict.fromkeys(values.names, "one per image")
    notes |= dict.fromkeys(extra.names, "from the manifest")
    rows = (
        (field.name, str(field.type), notes.get(field.name, ""))
        for field in record_schema(extra, values)
    )
    return _table("Records: one row out", ("column", "type", ""), rows)


def _table(
    title: str, columns: Sequence[str], rows: Iterator[tuple[str, ...]] | Sequence[tuple[str, ...]]
) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(terminal.one_line(cell)) for cell in row))
    return table


def _problem(console: Console, label: str, error: Exception, problems: list[Exception]) -> None:
    problems.append(error)
    text = Text.assemble(f"{label:<11}", ("error: ", "bold red"), terminal.lines(str(error)))
    console.print(text, soft_wrap=True)
