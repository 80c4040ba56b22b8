"""A run seen from outside: metrics as Prometheus scrapes them, log lines, events."""

from __future__ import annotations

import json
import logging
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import ray
from prometheus_client.parser import text_string_to_metric_families

from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.driver.summary import RunSummary
from pipelines.telemetry import metrics
from pipelines.telemetry.metrics import METRICS, Metric
from tests.integration.harness import manifest_rows, read_records, write_manifest
from tests.pipelines import http_origin as http
from tests.pipelines.pictures import encode, picture

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(120)]

Samples = dict[tuple[str, ...], float]


class Seen(NamedTuple):
    """A run, its output folder, the events that a web server received, and the driver's log."""

    summary: RunSummary
    output: str
    events: list[dict[str, Any]]
    log: list[logging.LogRecord]


@pytest.fixture
def seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Seen:
    """Run a manifest in which one row fails and three share a reference."""
    with http.serving() as origin:
        rows = manifest_rows(12, ["unused.png"])
        shared = origin.on("/shared.png", http.ok(encode(picture())))
        for n, row in enumerate(rows):
            row["content_image"] = shared if n < 3 else None
            row["style_images"] = []
        rows[5]["content_image"] = origin.url("/not-there.png")
        config = RunConfig.model_validate(
            {
                "manifest": {"path": str(write_manifest(tmp_path / "m.parquet", rows))},
                "output": {"path": str(tmp_path / "out")},
                "model": {"base": "tiny"},
                "fetch": {"allow_private_networks": True},
                "stylize": {"gpus_per_actor": 0},
                "logging": {"format": "json", "level": "debug"},
                "on_error": {"max_failed_fraction": 0.5},
                "notify": {"url": origin.on("/hook", http.status(200))},
            }
        )
        with caplog.at_level(logging.INFO, "pipelines"):
            summary = run(config)
        events = [json.loads(body) for body in origin.bodies if body]
        return Seen(summary, config.output.path, events, caplog.records)


def scrape() -> str:
    (node,) = ray.nodes()  # type: ignore[no-untyped-call]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def samples(text: str, metric: Metric, run_id: str, suffix: str = "") -> Samples:
    """Return label values, in the order of `metric.labels`, → value, summed over processes."""
    found: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == metric.exported_name + suffix and sample.labels["run"] == run_id:
                found[tuple(sample.labels[name] for name in metric.labels)] += sample.value
    return dict(found)


def scraped_when(holds: Callable[[str], bool]) -> str:
    """Return the first scrape for which `holds` is true, or the last one if there is none."""
    give_up_at = time.monotonic() + 20
    while True:
        text = scrape()
        if holds(text) or time.monotonic() > give_up_at:
            return text
        time.sleep(0.25)


def check_metrics(summary: RunSummary, output: str) -> None:
    def of(metric: Metric, suffix: str = "", text: str = "") -> Samples:
        return samples(text or scraped, metric, summary.run_id, suffix)

    records = read_records(output)
    completed = [record for record in records if record["status"] == "completed"]
    scraped = scraped_when(
        lambda text: (
            of(metrics.ROWS, text=text).get(("completed",)) == len(completed)
            and of(metrics.FAILURES, text=text) != {}
            and set(of(metrics.QUEUED_ROWS, text=text).values()) == {0}
            and of(metrics.BYTES, text=text).get(("stored",), 0) >= stored_bytes(completed)
        )
    )
    assert of(metrics.ROWS) == {("completed",): 11, ("failed",): 1}
    assert of(metrics.FAILURES) == {("uri_not_found",): 1}
    assert of(metrics.IMAGES) == {(): len(completed)}
    assert of(metrics.MANIFEST_ROWS) == {(): 12}
    assert of(metrics.BYTES) == {
        ("fetched",): len(encode(picture())),
        ("stored",): stored_bytes(completed),
    }
    assert of(metrics.REFERENCES) == {("hit",): 2, ("miss",): 2}
    check_encodings(of(metrics.ENCODINGS), summary)
    assert of(metrics.STAGE_SECONDS, "_count")[("inference",)] == len(completed)
    generated_s = sum(
        sum(record["timings"][s] for s in ("condition", "inference", "decode"))
        for record in completed
    )
    assert of(metrics.DEVICE_SECONDS)[()] == pytest.approx(generated_s / 1e3)
    # After the run, nothing is in progress.
    assert of(metrics.ACTORS) == {("ready",): 0, ("wanted",): 0}
    assert set(of(metrics.QUEUED_ROWS).values()) == {0}
    # The run is short, and has no safety check and no scores.
    unseen = {metrics.ETA_SECONDS.name, metrics.FLAGGED_IMAGES.name, metrics.SCORE_MEANS.name}
    assert {m.name for m in METRICS if not of(m) and not of(m, "_count")} <= unseen


def check_encodings(found: Samples, summary: RunSummary) -> None:
    """Assert that the metric matches the summary, for all encoders."""
    told = {
        (kind, cache): count
        for kind, lookups in summary.caches.items()
        if kind != "references"
        for cache, count in (("hit", lookups.hits), ("miss", lookups.misses))
    }
    assert {kind for kind, _ in found} == {"prompts", "content images"}
    assert found == {labels: count for labels, count in told.items() if count}


def stored_bytes(completed: list[dict[str, Any]]) -> int:
    return sum(Path(uri).stat().st_size for record in completed for uri in record["outputs"])


def check_log(summary: RunSummary) -> None:
    this_process: Any = ray._private.worker
    session = Path(this_process._global_node.get_session_dir_path())
    lines = [
        json.loads(line)
        for path in session.glob("logs/worker-*.err")
        for line in path.read_text(errors="replace").splitlines()
        if line.startswith("{") and summary.run_id in line
    ]
    events = Counter(line.get("event") for line in lines)
    assert events["row_done"] == 12
    assert {line["row_id"] for line in lines if line.get("event") == "row_done"} == {
        f"row-{n:05d}" for n in range(12)
    }


def check_events(seen: Seen) -> None:
    assert seen.summary.undelivered_events == 0
    assert {event["id"] for event in seen.events} == {seen.summary.run_id}
    first, last = seen.events[0], seen.events[-1]
    assert (first["event"], last["event"], last["status"]) == ("start", "end", 9)
    assert (last["output"]["completed"], last["output"]["failed"]) == (11, 1)


def check_start(seen: Seen) -> None:
    """Assert that only the first row's own work lies between a loaded model and its image."""
    ready_at = min(r.created for r in seen.log if r.getMessage().startswith("worker_ready "))
    generated = [record for record in read_records(seen.output) if record["status"] == "completed"]
    assert min(record["created_at"].timestamp() for record in generated) - ready_at < 2


def test_what_is_seen_from_outside_agrees_with_the_records(seen: Seen) -> None:
    check_metrics(seen.summary, seen.output)
    check_log(seen.summary)
    check_events(seen)
    check_start(seen)
