"""Rows side by side on one worker."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipelines.worker.activity import Activity
from tests.pipelines import http_origin as http
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tiny_models import Gate, Misbehaving
from tests.pipelines.worker.rendering import until
from tests.pipelines.worker.stylizing import Make, make_row, stored
from uso_core.model.cache import Lookups


def test_while_one_row_is_rendered_the_next_is_fetched(make: Make) -> None:
    gate = Gate()
    fetch = {"allow_private_networks": True, "timeout_s": 1, "attempts": 1}
    stylizer = make(Misbehaving(gate), fetch=fetch)
    with http.serving() as origin, ThreadPoolExecutor(3) as pool:
        url = origin.on("/x", http.ok(encode(picture())))
        hanging = origin.on("/hang", http.hang)
        first = pool.submit(stylizer.stylize, make_row("first"))
        assert gate.reached.wait(5)
        second = pool.submit(stylizer.stylize, make_row("second", content=url))
        third = pool.submit(stylizer.stylize, make_row("third", content=hanging))
        until(lambda: stylizer.activity().drawing == 2)
        seen = stylizer.activity()
        gate.open()
        outcomes = [first.result(10), second.result(10), third.result(10)]
    assert (seen.fetching, seen.drawing, seen.storing) == (1, 2, 0)
    assert [outcome.status for outcome in outcomes] == ["completed", "completed", "failed"]
    stored_bytes = sum(Path(uri).stat().st_size for outcome in outcomes for uri in outcome.outputs)
    assert stored_bytes
    assert stylizer.activity() == Activity(
        *(0, 0, 0),
        cache_hits=0,
        cache_misses=2,
        fetched_bytes=len(encode(picture())),
        stored_bytes=stored_bytes,
    )


def test_references_of_a_row_are_fetched_side_by_side(make: Make) -> None:
    data = encode(picture())
    together = threading.Barrier(3)

    def wait_for_the_others(connection: Any) -> None:
        together.wait(5)
        http.ok(data)(connection)

    with http.serving() as origin:
        urls = tuple(origin.on(f"/{n}", wait_for_the_others) for n in range(3))
        assert stored(make().stylize(make_row(content=urls[0], styles=urls[1:])))


def test_many_rows_in_threads_give_what_they_give_alone(make: Make) -> None:
    rows = [make_row(f"r{n}", content=encode(picture(seed=n)), seed=n) for n in range(6)]
    alone = [make().stylize(row).sha256 for row in rows]
    stylizer = make()
    with ThreadPoolExecutor(6) as pool:
        assert [outcome.sha256 for outcome in pool.map(stylizer.stylize, rows)] == alone


def test_small_rows_that_wait_are_batched_if_the_preset_allows_it(make: Make) -> None:
    gate = Gate()
    pipeline = Misbehaving(lambda seed: gate(seed) if seed == 0 else None)
    model = {"base": "tiny", "preset": "fp8"}  # the weights stay in float32
    stylizer = make(pipeline, model=model, stylize={"batch_images": 3})
    rows = [make_row(f"r{seed}", seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outcomes = [pool.submit(stylizer.stylize, rows[0])]
        assert gate.reached.wait(30)
        outcomes += [pool.submit(stylizer.stylize, row) for row in rows[1:]]
        until(lambda: len(stylizer._renderer.queue) == 3)
        gate.open()
        assert [len(stored(outcome.result(30))) for outcome in outcomes] == [1] * 4
    assert pipeline.batches == [1, 3]


def test_outcomes_count_cache_lookups(make: Make) -> None:
    stylizer = make(Misbehaving(lambda _: None))
    with http.serving() as origin:
        url = origin.on("/x", http.ok(encode(picture())))
        rows = [make_row("a", content=url), make_row("b", content=url)]
        first, second = (stylizer.stylize(row).caches for row in rows)
    kinds = {"references", "prompts", "content images"}
    assert {kind for kind, found in first.items() if found == Lookups(0, 1)} == kinds
    assert {kind for kind, found in second.items() if found == Lookups(1, 1)} == kinds
