"""Counts the work of a run in advance, and estimates its time and storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from pipelines.calibration.shapes import Shape
from pipelines.config.schema import RunConfig
from pipelines.dispatch.pending import RowSelection
from pipelines.display import display_reference
from pipelines.keys.distinct import DistinctCount
from pipelines.ledger.ledger import Ledger
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.ordinary import OrdinaryRows
from pipelines.rows import ManifestEntry, ManifestRow, RejectedRow
from pipelines.telemetry.stats import RunStats
from pipelines.tools.planning.speed import Basis, Speed
from uso_core.request import Limits

RECORD_BYTES = 500
"""Typical size of a record in a compressed part."""


@dataclass(frozen=True, slots=True)
class Uniques:
    """Numbers of distinct content images, style images and prompts."""

    contents: int
    styles: int
    prompts: int


@dataclass(frozen=True, slots=True)
class Workload:
    """The work of a run.

    Attributes:
        rows_by_shape: rows to generate.
        skipped: recorded rows that the run leaves as they are.
        changed: recorded rows that have changed since.
        rejected: invalid rows, which are recorded as failed and cost nothing.
        uniques: distinct inputs of the rows to generate.
    """

    rows_by_shape: dict[Shape, int]
    skipped: int
    changed: int
    rejected: int
    uniques: Uniques

    @property
    def rows(self) -> int:
        """Rows to generate."""
        return sum(self.rows_by_shape.values())

    @property
    def images(self) -> int:
        """Images to generate."""
        return sum(shape.images * rows for shape, rows in self.rows_by_shape.items())


@dataclass(frozen=True, slots=True)
class ShapePlan:
    """The rows of one shape.

    Attributes:
        shape: shape of the rows.
        rows: number of rows.
        tokens: length of the transformer's sequence.
        flops: floating-point operations of the denoising, per row.
        seconds: device time per row; None if unknown.
        basis: basis of `seconds`.
    """

    shape: Shape
    rows: int
    tokens: int
    flops: float
    seconds: float | None
    basis: Basis


@dataclass(frozen=True, slots=True)
class Plan:
    """The estimated time and storage of a run. Times are None for a CPU that was not measured.

    Attributes:
        work: the work of the run.
        shapes: the shapes of its rows, the most arithmetic first.
        flops: floating-point operations of the denoising of all rows.
        device_s: seconds on all devices together.
        wall_s: seconds from start to end of the run.
        startup_s: part of `wall_s` before the first row is on a device; None if unknown, and then
            `wall_s` does not include it.
        device_hours: GPUs held (CPUs if the run uses no GPU), times hours.
        image_bytes: approximate size of all images.
        record_bytes: approximate size of all records.
    """

    work: Workload
    shapes: tuple[ShapePlan, ...]
    flops: float
    device_s: float | None
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
    """Read the whole manifest, and count the rows that a run would generate, skip and reject.

    Memory grows with the distinct shapes, and by 39 bytes per record, but not with the rows.

    Args:
        config: configuration of the run.
        manifest: manifest of the run.
        limits: limits of the model.
        ledger: ledger of the output.
        on_rows: called with the number of rows read since the last call.

    Raises:
        RowsChangedError: a completed row has changed, and `output.on_change` is `error`.
        ManifestError: a file has changed or is damaged.
    """
    stats = RunStats()
    selection = RowSelection(ledger, config.output, config.on_error, stats)
    counter = _Counter(limits)
    seen = 0
    for batch in selection.survey(manifest):
        counter.add(batch.entries)
        if batch.ordinary is not None:
            counter.add_ordinary(batch.ordinary)
        now = counter.entries + stats.skipped
        on_rows(now - seen)
        seen = now
    return counter.workload(stats)


def make_plan(config: RunConfig, work: Workload, speed: Speed) -> Plan:
    """Estimate the time of `work` with the configured actors, and the size of the output."""
    stylize = config.stylize
    known = speed.machine is not None or stylize.gpus_per_actor > 0
    shapes = [_shape_plan(shape, rows, speed, known) for shape, rows in work.rows_by_shape.items()]
    shapes.sort(key=lambda plan: (-plan.flops * plan.rows, plan.shape))
    flops = sum(plan.flops * plan.rows for plan in shapes)
    device_s = wall_s = device_hours = None
    if known:
        device_s = sum((plan.seconds or 0.0) * plan.rows for plan in shapes)
        actors = max(1, min(stylize.max_actors, work.rows))
        wall_s = device_s / (actors * speed.busy) + (speed.startup_s or 0.0) if work.rows else 0.0
        each = stylize.gpus_per_actor or stylize.cpus_per_actor
        device_hours = wall_s * stylize.max_actors * each / 3600
    pixels = sum(
        plan.shape.width * plan.shape.height * plan.shape.images * plan.rows for plan in shapes
    )
    return Plan(
        work=work,
        shapes=tuple(shapes),
        flops=flops,
        device_s=device_s,
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
    """Counts rows, shapes and distinct inputs."""

    def __init__(self, limits: Limits) -> None:
        self.entries = 0
        self._limits = limits
        self._rejected = 0
        self._shapes: Counter[Shape] = Counter()
        self._contents = DistinctCount()
        self._styles = DistinctCount()
        self._prompts = DistinctCount()

    def add(self, entries: list[ManifestEntry]) -> None:
        """Add rows that are not recorded yet."""
        self.entries += len(entries)
        rows = [entry.row for entry in entries if isinstance(entry.row, ManifestRow)]
        self._rejected += sum(isinstance(entry.row, RejectedRow) for entry in entries)
        self._shapes.update(Shape.of(row, self._limits) for row in rows)
        contents = {display_reference(row.content_image) for row in rows if row.content_image}
        styles = {display_reference(style) for row in rows for style in row.style_images}
        # Styles of a library are encoded already, so they are not counted.
        self._contents.add(pa.array(list(contents), pa.string()))
        self._styles.add(pa.array(list(styles), pa.string()))
        self._prompts.add(pa.array(list({row.prompt for row in rows}), pa.string()))

    def add_ordinary(self, rows: OrdinaryRows) -> None:
        """Add rows that are not recorded yet, in columns."""
        self.entries += len(rows)
        for row, count in rows.kinds():
            self._shapes[Shape.of(row, self._limits)] += count
        self._contents.add(rows.contents)
        self._styles.add(rows.styles)
        self._prompts.add(rows.prompts)

    def workload(self, stats: RunStats) -> Workload:
        """Return the counts."""
        return Workload(
            rows_by_shape=dict(self._shapes),
            skipped=stats.skipped,
            changed=stats.changed,
            rejected=self._rejected,
            uniques=Uniques(len(self._contents), len(self._styles), len(self._prompts)),
        )
