"""`uso plan`: what a run will take. Loads neither Ray nor torch, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from jobs import exits, screen
from jobs.outputs import resolved_storage
from jobs.progress import duration
from pipelines.calibration.measurements import Settings, read_calibration
from pipelines.config.schema import RunConfig
from pipelines.errors import ConfigError, RowsChangedError
from pipelines.ledger.ledger import Ledger
from pipelines.manifest.manifest import Manifest
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from pipelines.tools.planning.model import LookedAt, look_at_model
from pipelines.tools.planning.plan import Plan, ShapePlan, make_plan, survey
from pipelines.tools.planning.speed import (
    H200_FLOAT8_FLOPS,
    H200_MATMUL_FLOPS,
    STATED_EFFICIENCY,
    Speed,
)
from uso_core.errors import CheckpointError
from uso_core.families import family_named, family_of
from uso_core.presets import PRESETS

_MOST_SHAPES = 12
_UNITS = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"))


def plan_command(
    config_path: Path, overrides: Sequence[str], *, price_per_gpu_hour: float | None
) -> int:
    """Print what a run of this configuration would do and take; returns the exit code."""
    with (
        exits.exit_on_error(),
        exits.exit_on_error(RowsChangedError, code=exits.WRONG_INPUT),  # in a run it is 1
    ):
        config = RunConfig.from_yaml(config_path, overrides)
        options = resolved_storage(config)
        looked = look_at_model(config.model)
        if looked.unknown:
            # Fingerprints are not known without the model, so ids alone say what is recorded.
            by_id = config.output.model_copy(update={"on_change": "keep"})
            config = config.model_copy(update={"output": by_id})
        manifest = Manifest.open(config, looked.card)
        output = Storage.at(config.output.path, options)
        ledger = Ledger.view(output, record_schema(manifest.extra_schema))
        with Progress(console=screen.err(), transient=True) as progress:
            task = progress.add_task("rows", total=manifest.total_rows)
            work = survey(
                config, manifest, looked.card.limits, ledger, lambda n: progress.advance(task, n)
            )
        speed = _speed(config, looked, output)
    console = screen.out()
    plan = make_plan(config, work, speed)
    _print_work(plan, looked, console)
    if plan.work.rows:
        console.print(_shape_table(plan))
        _print_time(plan, speed, config, price_per_gpu_hour, console)
    console.print("Nothing was started.")
    return exits.DONE


def _speed(config: RunConfig, looked: LookedAt, output: Storage) -> Speed:
    model = family_named(config.model.base).usual_dimensions
    if not looked.unknown:
        try:
            model = family_of(looked.source).dimensions(looked.source)
        except CheckpointError as error:
            raise ConfigError(str(error)) from error
    settings = Settings.of(model, config.model, config.stylize.batch_images)
    machine = read_calibration(output).latest(settings)
    return Speed(model, machine, config.model.compile, PRESETS[config.model.preset])


def _print_work(plan: Plan, looked: LookedAt, console: Console) -> None:
    work = plan.work
    screen.fact(console, "model", looked.card.name)
    if looked.unknown:
        screen.fact(console, "", looked.unknown)
        screen.fact(
            console, "", "FLUX.1-dev's size and ranges are assumed; ids tell what is recorded"
        )
    screen.fact(console, "to draw", f"{work.rows:,} rows, {work.images:,} images")
    screen.fact(console, "recorded", f"{work.skipped:,} rows are done and would be skipped")
    if work.changed and not looked.unknown:
        screen.fact(console, "changed", f"{work.changed:,} completed rows have changed since")
    if work.rejected:
        screen.fact(
            console, "rejected", f"{work.rejected:,} rows are not accepted: see uso validate"
        )
    uniques = work.uniques
    screen.fact(
        console,
        "different",
        f"{uniques.contents:,} content images, {uniques.styles:,} styles, "
        f"{uniques.prompts:,} prompts",
    )


def _shape_table(plan: Plan) -> Table:
    table = Table(title="Shapes", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("output", "content", "styles", "steps", "images"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("rows", "tokens", "FLOP/row", "s/row", "basis"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in plan.shapes[:_MOST_SHAPES]:
        table.add_row(*(Text(cell) for cell in _cells(item)))
    left = plan.shapes[_MOST_SHAPES:]
    if left:
        rows = sum(item.rows for item in left)
        table.caption = f"and {len(left):,} other shapes with {rows:,} rows"
    return table


def _cells(item: ShapePlan) -> tuple[str, ...]:
    shape = item.shape
    return (
        f"{shape.width}x{shape.height}",
        str(shape.content) if shape.content else "",
        str(shape.styles),
        str(shape.steps),
        str(shape.images),
        f"{item.rows:,}",
        f"{item.tokens:,}",
        _scaled(item.flops),
        "" if item.seconds is None else f"{item.seconds:.3g}",
        "" if item.seconds is None else item.basis,
    )


def _print_time(
    plan: Plan, speed: Speed, config: RunConfig, price: float | None, console: Console
) -> None:
    stylize = config.stylize
    kind = "GPU" if stylize.gpus_per_actor else "CPU"
    screen.fact(console, "arithmetic", f"{_scaled(plan.flops)}FLOP")
    if plan.drawing_s is None or plan.wall_s is None or plan.device_hours is None:
        screen.fact(
            console, "time", "not known: a CPU is measured by its first run (try --limit 20)"
        )
    else:
        screen.fact(console, "speed", _speed_line(speed))
        if speed.machine is None and speed.stated_as is not None:
            preset = speed.preset.name
            screen.fact(
                console,
                "",
                f"not known for {preset} until a first run has measured it: "
                f"stated as {speed.stated_as}",
            )
        screen.fact(console, "drawing", f"{duration(plan.drawing_s)} on all devices together")
        start = "start-up not included" if plan.startup_s is None else "with start-up"
        actors = f"{stylize.max_actors} actors, busy {speed.busy:.0%} of the time"
        screen.fact(console, "wall time", f"{duration(plan.wall_s)} ({actors}, {start})")
        screen.fact(console, f"{kind}-hours", f"{plan.device_hours:,.2f}")
        if price is not None and stylize.gpus_per_actor:
            screen.fact(
                console, "price", f"{plan.device_hours * price:,.2f} at {price:g} per GPU-hour"
            )
        elif price is not None:
            screen.fact(console, "price", "no GPU is asked for (stylize.gpus_per_actor is 0)")
    images, records = _scaled(plan.image_bytes), _scaled(plan.record_bytes)
    shards = "" if config.output.layout == "images" else f", {images}B of shards"
    screen.fact(console, "storage", f"about {images}B of images, {records}B of records{shards}")


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
