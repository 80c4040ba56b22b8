"""Renders `index.html`, and provides its style sheets and scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from pipelines.tools.report.distances import DistanceSummary
from pipelines.tools.report.page_template import page_template
from pipelines.tools.report.rates import RunRate
from pipelines.tools.report.summary import Summary
from pipelines.tools.report.values import to_json

SCRIPTS = (
    "dom.js",
    "data.js",
    "views.js",
    "marks.js",
    "filters.js",
    "form.js",
    "card.js",
    "grid.js",
    "size.js",
    "viewer.js",
    "detail.js",
    "choice.js",
    "gallery.js",
    "matrix.js",
    "help.js",
    "main.js",
)
STYLES = (
    "base.css",
    "top.css",
    "summary.css",
    "tools.css",
    "cards.css",
    "matrix.css",
    "detail.css",
    "viewer.css",
    "dialogs.css",
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison with another run, as the first screen shows it.

    Attributes:
        output: URI of the other run's output.
        rows: number of its rows.
        counts: number of rows by `pipelines.tools.report.facets.COMPARISONS`.
        only_there: number of rows that only the other run has.
        distances: distances between the pictures of rows that both runs completed.
    """

    output: str
    rows: int
    counts: Mapping[str, int]
    only_there: int
    distances: DistanceSummary


@dataclass(frozen=True, slots=True)
class Page:
    """The content of `index.html`.

    Attributes:
        left_out: number of records that the page does not show, because their rows are no longer
            in the manifest.
    """

    output: str
    made_at: datetime
    version: str
    build: str
    summary: Summary
    left_out: int
    comparison: Comparison | None
    boot: Mapping[str, Any]


def render(page: Page) -> bytes:
    """Return the page as HTML; all text in it is escaped."""
    template = page_template(
        "pipelines.tools.report",
        "index.html.j2",
        count=_count,
        percent=_percent,
        decibels=_decibels,
        decimal=_decimal,
        span=span,
        ms=_milliseconds,
        moment=_moment,
        json=_json,
    )
    chart = {rate.run_id: _chart(rate) for rate in page.summary.rates}
    text = template.render(
        page=page, summary=page.summary, chart=chart, scripts=SCRIPTS, styles=STYLES
    )
    return text.encode()


def assets() -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the style sheets and scripts."""
    folder = files("pipelines.tools.report") / "static"
    for name in (*STYLES, *SCRIPTS):
        yield name, (folder / name).read_bytes()


def span(seconds: float) -> str:
    """Format a duration with its two largest units."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left = round(seconds)
    parts: list[str] = []
    for name, size in units:
        amount, left = divmod(left, size)
        if amount or parts:
            parts.append(f"{amount} {name}" if amount else "")
    return " ".join(part for part in parts[:2] if part)


@dataclass(frozen=True, slots=True)
class _Column:
    """One bar of a chart that is 1000 wide and 100 high."""

    x: float
    width: float
    completed: float
    failed: float
    title: str


def _chart(rate: RunRate) -> list[_Column]:
    width = 1000 / len(rate.bars)
    gap = min(2.0, width * 0.2)
    unit = span(rate.step_s)
    columns = []
    for index, bar in enumerate(rate.bars):
        title = f"{bar.completed:,} completed, {bar.failed:,} failed in {unit}"
        completed, failed = (100 * n / rate.highest for n in bar)
        columns.append(_Column(index * width, width - gap, completed, failed, title))
    return columns


def _count(value: float) -> str:
    return f"{round(value):,}" if isinstance(value, int) or value >= 100 else f"{value:.1f}"


def _percent(value: float) -> str:
    if value in (0, 1):
        return f"{value:.0%}"
    return "< 0.1 %" if value < 0.001 else f"{100 * min(value, 0.999):.1f} %"


def _decimal(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _decibels(value: float) -> str:
    return f"{value:.1f} dB"


def _milliseconds(value: float) -> str:
    if value >= 10_000:
        return span(value / 1000)
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


def _moment(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S UTC")


def _json(value: object) -> Markup:
    # to_json escapes every character that could end the script element.
    return Markup(to_json(value))  # noqa: S704
