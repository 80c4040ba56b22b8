"""`uso plan`: estimates a run. Loads neither Ray nor torch, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.secret_settings import resolved_storage
from pipelines.calibration.measurements import Settings, read_calibration
from pipelines.checks.names import check_names
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError, RowsChangedError
from pipelines.ledger.ledger import Ledger
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.source import LOOKING
from pipelines.record import record_schema
from pipelines.storage.patience import LOOK_S
from pipelines.storage.storage import Storage
from pipelines.tools.planning.extra import ExtraTries, extra_tries
from pipelines.tools.planning.model import InspectedModel, inspect_model
from pipelines.tools.planning.plan import Plan, ShapePlan, make_plan, survey
from pipelines.tools.planning.speed import (
    H200_FLOAT8_FLOPS,
    H200_MATMUL_FLOPS,
    STATED_EFFICIENCY,
    Speed,
)
from pipelines.worker.image_plugins import chosen_plugins
from uso_core.errors import CheckpointError
from uso_core.families import family_named, family_of
from uso_core.presets import PRESETS

_MOST_SHAPES = 12
_COLUMNS = (
    "output", "content", "styles", "steps", "images", "rows", "tokens", "FLOP/row", "s/row", "basis"
)  # fmt: skip
_UNITS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"))


def plan_command(
    config_path: Path,
    overrides: Sequence[str],
    *,
    price_per_gpu_hour: float | None,
    as_json: bool = False,
) -> int:
    """Print the rows, time, GPU-hours and storage of a run, and return the exit code."""
    with exits.exit_on_error():
        config = RunConfig.from_yaml(config_path, overrides)
    return plan_run(config, price_per_gpu_hour=price_per_gpu_hour, as_json=as_json)


def plan_run(config: RunConfig, *, price_per_gpu_hour: float | None, as_json: bool) -> int:
    """Do as `plan_command`, for a configuration."""
    with (
        exits.exit_on_error(),
        exits.exit_on_error(RowsChangedError, code=exits.WRONG_INPUT),  # 1 in a run
    ):
        chosen_plugins(config)
        options = resolved_storage(config)
        inspected = inspect_model(config.model, options)
        if inspected.unknown:
            # Fingerprints need the model. Without it, ids alone decide which rows are recorded.
            by_id = config.output.model_copy(update={"on_change": "keep"})
            config = config.model_copy(update={"output": by_id})
        manifest = Manifest.open(config, inspected.card, LOOKING)
        if config.output.name is not None:
            check_names(manifest, config.output.encoding.extension)
        output = Storage.at(config.output.path, options, patience_s=LOOK_S)
        schema, again = record_schema(manifest.extra_schema), config.on_error.retry_failed
        ledger = Ledger.view(output, schema, manifest.editions, retry_failed=again)
        with Progress(console=terminal.err(), transient=True) as progress:
            task = progress.add_task("rows", total=manifest.total_rows)
            work = survey(
                config, manifest, inspected.card.limits, ledger, lambda n: progress.advance(task, n)
            )
        speed = _speed(config, inspected, output)
        plan = make_plan(config, work, speed)
        extra = extra_tries(plan, config.best_of, output) if config.best_of is not None else None
    if as_json:
        terminal.print_json(_as_dict(plan, inspected, config, price_per_gpu_hour, extra))
        return exits.DONE
    console = terminal.out()
    _print_work(plan, inspected, console)
    if plan.work.rows:
        console.print(_shape_table(plan, console.width))
        _print_time(plan, speed, config, price_per_gpu_hour, console)
    if extra is not None:
        _print_extra(extra, config, console)
    console.print("Nothing was started.")
    return exits.DONE


def _as_dict(
    plan: Plan,
    inspected: InspectedModel,
    config: RunConfig,
    price: float | None,
    extra: ExtraTries | None,
) -> dict[str, Any]:
    work = plan.work
    hours = plan.device_hours if config.stylize.gpus_per_actor else None
    return {
        "model": inspected.card.name,
        "model_unknown": inspected.unknown or None,
        "rows": work.rows,
        "images": work.images,
        "recorded": work.skipped,
        "changed": None if inspected.unknown else work.changed,
        "rejected": work.rejected,
        "different": asdict(work.uniques),
        "shapes": [asdict(shape) for shape in plan.shapes],
        "flop": plan.flops,
        "actors": config.stylize.max_actors,
        "device": "GPU" if config.stylize.gpus_per_actor else "CPU",
        "device_s": plan.device_s,
        "wall_s": plan.wall_s,
        "startup_s": plan.startup_s,
        "device_hours": plan.device_hours,
        "price": None if price is None or hours is None else hours * price,
        "extra": None if extra is None else asdict(extra),
        "image_bytes": plan.image_bytes,
        "record_bytes": plan.record_bytes,
    }


def _speed(config: RunConfig, inspected: InspectedModel, output: Storage) -> Speed:
    model = family_named(config.model.base).usual_dimensions
    if not inspected.unknown:
        try:
            model = family_of(inspected.source).dimensions(inspected.source)
        except CheckpointError as error:
            raise ConfigError(str(error)) from error
    settings = Settings.of(model, config.model, config.stylize.batch_images)
    machine = read_calibration(output).latest(settings)
    return Speed(model, machine, config.model.compile, PRESETS[config.model.preset])


def _print_work(plan: Plan, inspected: InspectedModel, console: Console) -> None:
    work = plan.work
    terminal.fact(console, "model", inspected.card.name)
    if inspected.unknown:
        terminal.fact(console, "", inspected.unknown)
        terminal.fact(console, "", "assuming FLUX.1-dev's size, and comparing rows by id alone")
    terminal.fact(console, "limits", inspected.sizes)
    terminal.fact(console, "generate", f"{work.rows:,} rows, {work.images:,} images")
    terminal.fact(console, "recorded", f"{work.skipped:,} rows, which the run skips")
    if work.changed and not inspected.unknown:
        terminal.fact(
            console,
            "changed",
            f"{work.changed:,} completed rows have changed since they were recorded",
        )
    if work.rejected:
        terminal.fact(console, "rejected", f"{work.rejected:,} rows are invalid: see uso validate")
    uniques = work.uniques
    terminal.fact(
        console,
        "different",
        f"{uniques.contents:,} content images, {uniques.styles:,} styles, "
        f"{uniques.prompts:,} prompts",
    )


def _shape_table(plan: Plan, width: int) -> Table:
    """Return the table of shapes, without its least needed columns where `width` is too small."""
    for hidden in ((), ("tokens",), ("tokens", "FLOP/row"), ("tokens", "FLOP/row", "images")):
        table = _shapes(plan, [name for name in _COLUMNS if name not in hidden])
        if Console(width=10**4).measure(table).minimum <= width:
            break
    return table


def _shapes(plan: Plan, columns: Sequence[str]) -> Table:
    table = Table(
        title="Shapes",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for item in plan.shapes[:_MOST_SHAPES]:
        cells = _cells(item)
        table.add_row(*(Text(cells[name]) for name in columns))
    left = plan.shapes[_MOST_SHAPES:]
    if left:
        rows = sum(item.rows for item in left)
        table.caption = f"and {len(left):,} other shapes with {rows:,} rows"
    return table


def _cells(item: ShapePlan) -> dict[str, str]:
    shape = item.shape
    return {
        "output": f"{shape.width}x{shape.height}",
        "content": str(shape.content) if shape.content else "",
        "styles": str(shape.styles),
        "steps": str(shape.steps),
        "images": str(shape.images),
        "rows": f"{item.rows:,}",
        "tokens": f"{item.tokens:,}",
        "FLOP/row": _scaled(item.flops),
        "s/row": "" if item.seconds is None else f"{item.seconds:.3g}",
        "basis": "" if item.seconds is None else item.basis,
    }


def _print_time(
    plan: Plan, speed: Speed, config: RunConfig, price: float | None, console: Console
) -> None:
    stylize = config.stylize
    kind = "GPU" if stylize.gpus_per_actor else "CPU"
    terminal.fact(console, "arithmetic", f"{_scaled(plan.flops)}FLOP")
    if plan.device_s is None or plan.wall_s is None or plan.device_hours is None:
        terminal.fact(
            console, "time", "unknown until a first run has measured this CPU (try --limit 20)"
        )
    else:
        terminal.fact(console, "speed", _speed_line(speed))
        if speed.machine is None and speed.stated_as is not None:
            preset = speed.preset.name
            terminal.fact(
                console,
                "",
                f"unknown for {preset} until a first run has measured it; estimated as "
                f"{speed.stated_as}",
            )
        terminal.fact(
            console, f"{kind} time", f"{terminal.duration(plan.device_s)} on all {kind}s together"
        )
        start = "without start-up" if plan.startup_s is None else "with start-up"
        actors = f"{stylize.max_actors} actors, busy {speed.busy:.0%} of the time"
        terminal.fact(console, "wall time", f"{terminal.duration(plan.wall_s)} ({actors}, {start})")
        terminal.fact(console, f"{kind}-hours", f"{plan.device_hours:,.2f}")
        if price is not None and stylize.gpus_per_actor:
            terminal.fact(
                console, "price", f"{plan.device_hours * price:,.2f} at {price:g} per GPU-hour"
            )
        elif price is not None:
            terminal.fact(
                console, "price", "none, because the run uses no GPU (stylize.gpus_per_actor is 0)"
            )
    images, records = _scaled(plan.image_bytes), _scaled(plan.record_bytes)
    shards = "" if config.output.layout == "images" else f", {images}B of shards"
    terminal.fact(console, "storage", f"about {images}B of images, {records}B of records{shards}")


def _print_extra(extra: ExtraTries, config: RunConfig, console: Console) -> None:
    kind = "GPU" if config.stylize.gpus_per_actor else "CPU"
    text = f"at most {extra.images:,} further images (best_of), not counted above"
    if extra.device_s is not None:
        text += f": {terminal.duration(extra.device_s)} on all {kind}s together"
    terminal.fact(console, "tries", text)


def _speed_line(speed: Speed) -> str:
    machine = speed.machine
    if machine is None:
        efficiency = STATED_EFFICIENCY[speed.compiled]
        float8 = H200_FLOAT8_FLOPS / 1e12
        return (
            f"estimate, not measured: an H200 at {efficiency:.0%} of "
            f"{H200_MATMUL_FLOPS / 1e12:.0f} TFLOP/s"
            + (f", of {float8:.0f} in the float8 layers" if speed.linears_in_float8 else "")
        )
    return f"measured on {machine.device}: {machine.rows:,} rows, last at {machine.updated_at}"


def _scaled(value: float) -> str:
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:,.4g} {unit}"
    return f"{value / 1e3:,.4g} k"
