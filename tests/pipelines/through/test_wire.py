"""Rows on their way to a server, and their outcomes on the way back."""

from __future__ import annotations

from dataclasses import replace

from pipelines.reference_facts import LibraryStyle
from pipelines.rows import ManifestRow, Outcome, ReferenceVersion, Timings
from pipelines.through.wire import (
    Ended,
    ended_as_json,
    ended_from_json,
    row_as_json,
    row_from_json,
)
from uso_core.model.cache import Lookups
from uso_core.request import Parameters


def test_rows_and_outcomes_cross_the_wire_unchanged() -> None:
    parameters = Parameters(seed=5, num_images=2)
    row = ManifestRow("a", "p", b"\x00im", ("s3://b/k", b"\xff"), parameters, "f", (0.5, 1))
    styles = (LibraryStyle("ink", "f00d", 0.5, "CC0"), LibraryStyle("oil", "beef"))
    row = replace(row, names=("a/x", "a/y"), library_styles=styles)
    assert row_from_json(row_as_json(row)) == row
    outcome = Outcome(
        row_id="a",
        outputs=("u",),
        sha256=("h",),
        image_bytes=(5,),
        references=(None, ReferenceVersion("s", None)),
        width=3,
        timings=Timings(fetch=1.5),
        image_values={"has_nsfw_contents": (True, None)},
        caches={"references": Lookups(1, 2)},
    )
    ended = Ended(number=3, attempts=2, outcome=outcome)
    assert ended_from_json(ended_as_json(ended)) == ended
