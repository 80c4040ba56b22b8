"""The dashboard of a run queries only existing metrics and labels; Grafana is not started."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipelines.telemetry.metrics import METRICS, RUN_LABEL, Metric

FOLDER = Path(__file__).parent.parent / "configs" / "grafana"
DASHBOARD = json.loads((FOLDER / "uso-batch.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
BY_NAME: dict[str, Metric] = {metric.exported_name: metric for metric in METRICS} | {
    f"{metric.exported_name}_bucket": metric for metric in METRICS if metric.kind == "histogram"
}
OF_RAY = {"NodeAddress", "WorkerId"}


def queries() -> list[str]:
    found = (target["expr"] for panel in PANELS for target in panel["targets"])
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_metrics_and_labels_that_there_are(query: str) -> None:
    asked = re.findall(r"(ray_\w+)\{([^}]*)\}", query)
    assert len(asked) == len(re.findall(r"\bray_\w+", query)) > 0
    labels = set(re.findall(r"by \(([^)]*)\)", query)[0].split(", ")) if " by " in query else set()
    for name, selectors in asked:
        metric = BY_NAME[name]
        known = {RUN_LABEL, *metric.labels}
        assert set(re.findall(r"(\w+)=", selectors)) <= known
        assert f'{RUN_LABEL}=~"$run"' in selectors
        assert labels <= known | OF_RAY | ({"le"} if name.endswith("_bucket") else set())
    if any(BY_NAME[name].kind != "gauge" for name, _ in asked):
        assert "rate(" in query or "sum" in query


def test_every_metric_is_shown() -> None:
    asked = {BY_NAME[name].name for name in re.findall(r"\bray_\w+", " ".join(queries()))}
    assert asked == {metric.name for metric in METRICS}


def test_the_data_source_and_the_run_are_chosen_by_the_user() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert RUN_LABEL in variables["run"]["definition"]
    sources = [source["datasource"] for panel in PANELS for source in [panel, *panel["targets"]]]
    assert {source["uid"] for source in sources} == {"${datasource}"}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


APPEAR_LATE = (
    "ray_uso_rows_total",
    "ray_uso_images_total",
    "ray_uso_row_failures_total",
    "ray_uso_flagged_images_total",
)


@pytest.mark.parametrize("query", [q for q in queries() if any(n in q for n in APPEAR_LATE)])
def test_counters_that_appear_with_their_first_value_are_shown_as_they_are(query: str) -> None:
    # A rate misses the first value of a counter, and without one there is nothing to show.
    assert "rate(" not in query
    assert "or vector(0)" in query or "or on() vector(0)" in query
