"""A run in numbers, before it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.calibration.shapes import Shape
from pipelines.config.schema import RunConfig
from pipelines.dispatch.pending import RowSelection
from pipelines.display import display_reference
from pipelines.keys.index import row_key
from pipelines.keys.key_set import KeySet
from pipelines.ledger.ledger import Ledger
from pipelines.manifest.manifest import Manifest
from pipelines.rows import ManifestEntry, ManifestRow, RejectedRow
from pipelines.telemetry.stats import RunStats
from pipelines.tools.planning.speed import Basis, Speed
from uso_core.request import Limits

RECORD_BYTES = 500
"""Of a row's record in a compressed part: typical."""


@dataclass(frozen=True, slots=True)
class Uniques:
    """Different references and prompts of the rows to be drawn."""

    contents: int
    styles: int
    prompts: int


@dataclass(frozen=True, slots=True)
class Workload:
    """What a run has to do.

    Attributes:
        rows_by_shape: rows to be drawn.
        skipped: rows that are recorded, and are left as they are.
        changed: recorded rows that have changed since.
        rejected: rows that are not accepted; they are recorded as failed and cost nothing.
        uniques: of the rows to be drawn.
    """

    rows_by_shape: dict[Shape, int]
    skipped: int
    changed: int
    rejected: int
    uniques: Uniques

    @property
    def rows(self) -> int:
        """Rows to be drawn."""
        return sum(self.rows_by_shape.values())

    @property
    def images(self) -> int:
        """Images to be drawn."""
        return sum(shape.images * rows for shape, rows in self.rows_by_shape.items())


@dataclass(frozen=True, slots=True)
class ShapePlan:
    """The rows of one shape.

    Attributes:
        seconds: on a device, per row.
        basis: what they rest on.
        flops: of the denoising, per row.
        tokens: the length of the transformer's sequence.
    """

    shape: Shape
    rows: int
    tokens: int
    flops: float
    seconds: float | None
    basis: Basis


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will take.

    Attributes:
        work: what there is to do.
        shapes: those with the most arithmetic first.
        flops: of the denoising of all rows.
        drawing_s: on all devices together; None: not known (a CPU that was not measured).
        wall_s: from the run's begin to its end; None likewise.
        startup_s: that is within `wall_s`; None: not known, and not in it.
        device_hours: GPUs (or CPUs where there are none) that are held, times hours; None likewise.
        image_bytes: of the images, roughly.
        record_bytes: of the records, roughly.
    """

    work: Workload
    shapes: tuple[ShapePlan, ...]
    flops: float
    drawing_s: float | None
    wall_s: float | None
    startup_s: float | None
    device_hours: float | None
    image_bytes: float
    record_bytes: float


def survey(
    config: RunConfig,
    manifest: Manifest,
    limits: Limits,
    ledger: Ledger,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Workload:
    """Read the whole manifest, and see what a run would do with each row.

    Memory does not grow with the rows but for the different shapes, and the records: 33 bytes each.

    Args:
        config: the run's.
        manifest: opened.
        limits: of the model.
        ledger: of the output.
        on_rows: called with how many more rows were read.

    Raises:
        RowsChangedError: a completed row has changed, and `output.on_change` is `error`.
        ManifestError: a file has changed or is damaged.
    """
    stats = RunStats()
    selection = RowSelection(ledger, config.output, config.on_error, stats)
    counter = _Counter(limits)
    seen = 0
    for entries in selection.pending(manifest):
        counter.add(entries)
        now = counter.entries + stats.skipped
        on_rows(now - seen)
        seen = now
    return counter.workload(stats)


def make_plan(config: RunConfig, work: Workload, speed: Speed) -> Plan:
    """How long `work` takes with the configured actors, and what it leaves behind."""
    stylize = config.stylize
    known = speed.machine is not None or stylize.gpus_per_actor > 0
    shapes = [_shape_plan(shape, rows, speed, known) for shape, rows in work.rows_by_shape.items()]
    shapes.sort(key=lambda plan: (-plan.flops * plan.rows, plan.shape))
    flops = sum(plan.flops * plan.rows for plan in shapes)
    drawing_s = wall_s = device_hours = None
    if known:
        drawing_s = sum((plan.seconds or 0.0) * plan.rows for plan in shapes)
        actors = max(1, min(stylize.max_actors, work.rows))
        wall_s = drawing_s / (actors * speed.busy) + (speed.startup_s or 0.0) if work.rows else 0.0
        each = stylize.gpus_per_actor or stylize.cpus_per_actor
        device_hours = wall_s * stylize.max_actors * each / 3600
    pixels = sum(
        plan.shape.width * plan.shape.height * plan.shape.images * plan.rows for plan in shapes
    )
    return Plan(
        work=work,
        shapes=tuple(shapes),
        flops=flops,
        drawing_s=drawing_s,
        wall_s=wall_s,
        startup_s=speed.startup_s,
        device_hours=device_hours,
        image_bytes=pixels * config.output.encoding.bytes_per_pixel,
        record_bytes=float((work.rows + work.rejected) * RECORD_BYTES),
    )


def _shape_plan(shape: Shape, rows: int, speed: Speed, known: bool) -> ShapePlan:
    seconds, basis = speed.seconds(shape)
    return ShapePlan(
        shape=shape,
        rows=rows,
        tokens=shape.tokens(speed.model),
        flops=shape.flops(speed.model),
        seconds=seconds if known else None,
        basis=basis,
    )


class _Counter:
    """Counts rows, shapes and what is different."""

    def __init__(self, limits: Limits) -> None:
        self.entries = 0
        self._limits = limits
        self._rejected = 0
        self._shapes: Counter[Shape] = Counter()
        self._contents = KeySet()
        self._styles = KeySet()
        self._prompts = KeySet()

    def add(self, entries: list[ManifestEntry]) -> None:
        """Take in rows that are not recorded yet."""
        self.entries += len(entries)
        rows = [entry.row for entry in entries if isinstance(entry.row, ManifestRow)]
        self._rejected += sum(isinstance(entry.row, RejectedRow) for entry in entries)
        self._shapes.update(Shape.of(row, self._limits) for row in rows)
        contents = {display_reference(row.content_image) for row in rows if row.content_image}
        styles = {display_reference(style) for row in rows for style in row.style_images}
        self._contents.add([row_key(uri) for uri in contents])
        self._styles.add([row_key(uri) for uri in styles])
        self._prompts.add([row_key(prompt) for prompt in {row.prompt for row in rows}])

    def workload(self, stats: RunStats) -> Workload:
        """All that was counted."""
        return Workload(
            rows_by_shape=dict(self._shapes),
            skipped=stats.skipped,
            changed=stats.changed,
            rejected=self._rejected,
            uniques=Uniques(len(self._contents), len(self._styles), len(self._prompts)),
        )
