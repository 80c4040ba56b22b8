"""The page and the dashboard of the server's metrics have all of them, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric

from jobs.serve.metrics import Metrics
from jobs.serve.store.unended import Unended

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "configs" / "grafana" / "uso-serve.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]


def families() -> dict[str, tuple[Metric, set[str]]]:
    """Return each metric by the name that Prometheus scrapes, with its labels."""
    metrics = Metrics(Unended(None))  # type: ignore[arg-type]  # nothing is scraped
    known = {}
    for collector in vars(metrics).values():
        if hasattr(collector, "_labelnames"):
            (family,) = collector.describe()
            suffix = "_total" if family.type == "counter" else ""
            known[family.name + suffix] = (family, set(collector._labelnames))
    return known


FAMILIES = families()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_metric_is_documented_as_it_is(name: str) -> None:
    family, labels = FAMILIES[name]
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` ")]
    _, _, kind, shown, text, _ = (cell.strip() for cell in row.split("|"))
    assert (kind, text) == (family.type, family.documentation)
    assert set(re.findall(r"`(\w+)`", shown)) == labels


def test_no_other_metric_is_documented() -> None:
    assert set(re.findall(r"^\| `(uso_serve_\w+)`", PAGE, re.MULTILINE)) == set(FAMILIES)


def queries() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


@pytest.mark.parametrize("query", queries())
def test_a_query_asks_for_metrics_and_labels_that_there_are(query: str) -> None:
    asked = re.findall(r"\b(uso_serve_\w+?)(?:_bucket)?\{([^}]*)\}", query)
    assert asked
    for name, selectors in asked:
        labels = FAMILIES[name][1] | {"instance", "le"}
        assert set(re.findall(r"(\w+)=", selectors)) <= labels
        assert 'instance=~"$instance"' in selectors
        for group in re.findall(r"by \(([^)]*)\)", query):
            assert set(group.split(", ")) <= labels
        if FAMILIES[name][0].type != "gauge":
            assert "rate(" in query


def test_every_metric_is_shown() -> None:
    asked = re.findall(r"\b(uso_serve_\w+?)(?:_bucket)?\{", " ".join(queries()))
    assert set(asked) == set(FAMILIES)


def test_panels_do_not_overlap() -> None:
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in PANELS)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
