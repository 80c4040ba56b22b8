"""The page of a comparison: a table of the scores, and pairs of pictures sorted by difference."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipelines.config.inputs import FetchConfig
from pipelines.storage.filesystems import Options
from pipelines.tools.compare.comparison import Comparison, ScoreDifference
from pipelines.tools.compare.examples import Example
from pipelines.tools.compare.figures import (
    FEW_TEXT,
    interval_text,
    number,
    share,
    signed,
    verdict_text,
)
from pipelines.tools.report.page_template import page_template
from pipelines.tools.report.picture_table import PictureTable
from pipelines.tools.report.pictures import Gallery, Places
from pipelines.tools.report.thumbnails import Thumbnailer
from pipelines.tools.report.values import visible

_ASSETS = (("report", "base.css"), ("compare", "compare.css"), ("compare", "order.js"))


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Settings for reading the pictures of a page.

    Attributes:
        fetch: policy and size limits for reading references.
        storage_options: fsspec options by protocol, secrets resolved.
    """

    fetch: FetchConfig = field(default_factory=lambda: FetchConfig(timeout_s=20, attempts=2))
    storage_options: Options = field(default_factory=dict)


def write_page(
    places: Places,
    comparison: Comparison,
    pairs: Sequence[Example],
    options: PageOptions,
    progress: Callable[[int, int], None],
) -> str:
    """Write the page and its thumbnails, and return the URI of the page. Safe to repeat.

    Thumbnails that are there are kept.

    Args:
        places: the outputs A (`run`) and B (`other`), and the folder of the page.
        comparison: the numbers.
        pairs: the pairs to show.
        options: settings for reading pictures.
        progress: called with the number of pictures done, and of all.

    Raises:
        StorageError: a file cannot be written.
    """
    wanted = [picture for pair in pairs for picture in pair.pictures]
    with tempfile.TemporaryDirectory(prefix="uso-compare-") as folder:
        table = PictureTable(Path(folder))
        with closing(table):
            reader = Thumbnailer(places, options.fetch, options.storage_options)
            with closing(reader):
                reader.make_all(wanted, table, lambda done: progress(done, len(wanted)))
            gallery = Gallery(places, table)
            shown = [_shown(pair, gallery, comparison) for pair in pairs]
    for package, name in _ASSETS:
        content = files(f"pipelines.tools.{package}") / "static" / name
        places.out.write(f"assets/{name}", content.read_bytes())
    return places.out.write("index.html", _render(comparison, shown))


def _shown(pair: Example, gallery: Gallery, comparison: Comparison) -> dict[str, Any]:
    inputs = [*([] if pair.content is None else [pair.content]), *pair.styles]
    kinds = ["content"] * (pair.content is not None) + ["style"] * len(pair.styles)
    return {
        "id": visible(pair.row_id),
        "prompt": visible(pair.prompt, 300),
        "inputs": [
            {"kind": kind, **gallery.shown(each)} for kind, each in zip(kinds, inputs, strict=True)
        ],
        "a": [gallery.shown(each) for each in pair.a],
        "b": [gallery.shown(each) for each in pair.b],
        "scores": [
            _shown_score(score, *pair.scores[score.name])
            for score in comparison.scores
            if score.name in pair.scores
        ],
        "difference": {name: b - a for name, (a, b) in pair.scores.items()},
    }


def _shown_score(score: ScoreDifference, a: float, b: float) -> dict[str, Any]:
    if a == b or score.better == "neither":
        better = ""
    else:
        better = "b" if (b > a) == (score.better == "higher") else "a"
    return {
        "name": visible(score.name),
        "title": visible(score.title),
        "a": number(a),
        "b": number(b),
        "difference": signed(b - a),
        "better": better,
    }


def _render(comparison: Comparison, pairs: list[dict[str, Any]]) -> bytes:
    template = page_template(
        "pipelines.tools.compare",
        "compare.html.j2",
        interval=interval_text,
        number=number,
        share=share,
        signed=signed,
        verdict=verdict_text,
        visible=visible,
    )
    first = comparison.scores[0].name
    ordered = sorted(pairs, key=lambda pair: pair["difference"].get(first, float("inf")))
    note = FEW_TEXT if comparison.has_few else ""
    return template.render(comparison=comparison, pairs=ordered, note=note).encode()
