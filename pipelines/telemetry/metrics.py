"""The metrics of a run: names, units and labels.

Ray exports them. It puts `ray_` in front of each name and `_total` behind the name of a counter,
and adds labels (the node, the worker process).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: the name without Ray's prefix and suffix.
        kind: a counter only grows; a gauge keeps the last value set.
        help: the counted thing and its unit.
        labels: labels besides `run`, which every metric has. They take few values: never ids or
            URIs.
        boundaries: bucket boundaries of a histogram.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()

    @property
    def exported_name(self) -> str:
        """The name that Prometheus scrapes."""
        return f"ray_{self.name}_total" if self.kind == "counter" else f"ray_{self.name}"


RUN_LABEL = "run"

# Metrics of the driver.
ROWS = Metric(
    "uso_rows", "counter", "Rows that settled, or were recorded before (skipped).", ("state",)
)
FAILURES = Metric("uso_row_failures", "counter", "Rows that failed.", ("code",))
IMAGES = Metric("uso_images", "counter", "Images drawn, of rows that were completed.")
FLAGGED_IMAGES = Metric(
    "uso_flagged_images", "counter", "Images that the safety check flagged, also if withheld."
)
SCORE_MEANS = Metric(
    "uso_score_mean", "gauge", "Mean of a score over the images of the run so far.", ("score",)
)
MANIFEST_ROWS = Metric("uso_manifest_rows", "gauge", "Rows of the manifest, where that is known.")
IMAGES_PER_SECOND = Metric("uso_images_per_second", "gauge", "Over the last minute.")
ETA_SECONDS = Metric("uso_eta_seconds", "gauge", "Until the end at the last minute's pace.")
DEVICE_BUSY = Metric(
    "uso_device_busy_ratio",
    "gauge",
    "Share of the ready actors' time that went into drawing, over the last minute, 0 to 1.",
)
ACTORS = Metric("uso_actors", "gauge", "Actors: ready, and wanted.", ("state",))
QUEUED_ROWS = Metric(
    "uso_queued_rows",
    "gauge",
    "Rows that were read and are not recorded yet, by what they wait for or undergo.",
    ("queue",),
)

# Metrics of each actor.
STAGE_SECONDS = Metric(
    "uso_stage_seconds",
    "histogram",
    "What a row spent in each stage, in seconds; the sum is estimated from the buckets.",
    ("stage",),
    (0.01, 0.03, 0.1, 0.3, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600),
)
DEVICE_SECONDS = Metric(
    "uso_device_seconds",
    "counter",
    "Seconds for which rows kept the actor's device from the next one.",
)
REFERENCES = Metric(
    "uso_references", "counter", "References, by whether they were in the cache.", ("cache",)
)
ENCODINGS = Metric(
    "uso_encodings",
    "counter",
    "Prompts, styles and content images of rows, by whether they were in memory encoded.",
    ("kind", "cache"),
)
BYTES = Metric(
    "uso_bytes", "counter", "Bytes of references fetched and of images stored.", ("direction",)
)

METRICS: tuple[Metric, ...] = (
    *(
        ROWS,
        FAILURES,
        IMAGES,
        FLAGGED_IMAGES,
        SCORE_MEANS,
        MANIFEST_ROWS,
        IMAGES_PER_SECOND,
        ETA_SECONDS,
        DEVICE_BUSY,
    ),
    *(ACTORS, QUEUED_ROWS),
    *(STAGE_SECONDS, DEVICE_SECONDS, REFERENCES, ENCODINGS, BYTES),
)
