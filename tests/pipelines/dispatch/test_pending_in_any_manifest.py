"""Skipping rows unread agrees with reading them, on any manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.failures import FailureCode
from tests.pipelines.dispatch.pending_output import Output, Row
from tests.pipelines.manifests import CARD

OUTCOMES: tuple[FailureCode | None, ...] = (None, None, "uri_timeout", "image_corrupt")


IDS = st.sampled_from(["a", "b", "c", "d", "a~2", "ü", "日本", "", None, "x" * 257])


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": IDS,
            "prompt": st.sampled_from(["p", "q", "", None]),
            "content_image": st.sampled_from(["c.png", None]),
            "style_images": st.sampled_from([["s.png"], [], [None], None, ["s.png", "t.png"]]),
            "style_weights": st.sampled_from([None, [1.0], [1.0, 1.0], [0.5], []]),
            "width": st.sampled_from([512, None, 3]),
            "seed": st.sampled_from([1, None]),
            "label": st.sampled_from(["l", "m"]),
        }
    ),
    min_size=1,
    max_size=9,
)


RUNS = st.fixed_dictionaries(
    {},
    optional={
        "defaults": st.sampled_from(
            [{"num_steps": 7}, {"prompt": "q"}, {"width": 512}, {"style_images": ["d.png"]}]
        ),
        "stylize": st.just({"seed": 5}),
        "manifest": st.sampled_from([{"limit": 3}, {"shard": "0/2"}, {"shard": "1/2"}]),
        "output": st.sampled_from(
            [{"path": "o", "on_change": name} for name in ("redo", "keep", "error")]
        ),
        "on_error": st.just({"retry_failed": True}),
        "card": st.just(replace(CARD, fingerprint="ffff")),
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=ROWS,
    after=ROWS,
    kept=st.integers(0, 9),
    codes=st.permutations(OUTCOMES),
    run=RUNS,
)
def test_both_ways_agree_on_any_manifest(
    tmp_path: Path,
    before: list[Row],
    after: list[Row],
    kept: int,
    codes: list[FailureCode | None],
    run: dict[str, Any],
) -> None:
    output = Output(tmp_path)
    output.write(before)
    output.record(codes)
    output.write([*before[:kept], *after, *before[kept:]])
    output.select(**run)
