"""Runs with varied rows on the tiny model, for tests that draw them again."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config.schema import RunConfig
from pipelines.driver.run import run
from pipelines.driver.thread_pool import ThreadPool
from pipelines.ledger.records import Records
from pipelines.replay.chosen import Choice, choose
from pipelines.replay.replay import Replay
from pipelines.replay.verdict import Verdict
from pipelines.storage.storage import Storage
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tiny_models import tiny

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("prompt", pa.string()),
        ("content_image", pa.string()),
        ("style_images", pa.list_(pa.string())),
        ("style_weights", pa.list_(pa.float64())),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("num_steps", pa.int64()),
        ("guidance", pa.float64()),
        ("seed", pa.int64()),
        ("keep_size", pa.bool_()),
        ("content_long_size", pa.int64()),
        ("num_images", pa.int64()),
        ("note", pa.string()),
        ("style", pa.string()),
    ]
)


def settings(folder: Path, **sections: Any) -> dict[str, Any]:
    """Return the configuration of a run without Ray in a folder."""
    return {
        "manifest": {"path": str(folder / "m.parquet"), **sections.pop("manifest", {})},
        "output": {"path": str(folder / "out"), **sections.pop("output", {})},
        "model": {"base": "tiny", "device": "cpu", **sections.pop("model", {})},
        "stylize": {"gpus_per_actor": 0, "max_rows_in_flight": 2, **sections.pop("stylize", {})},
        "ray": {"address": "none"},
        "on_error": {"max_failed_fraction": 1},
        **sections,
    }


def drawn(folder: Path, rows: list[dict[str, Any]], **sections: Any) -> RunConfig:
    """Write references and a manifest, and do a run; return its configuration."""
    write_inputs(folder, rows)
    config = RunConfig.model_validate(settings(folder, **sections))
    run(config, show_progress=False, make_worker=worker)
    return config


def worker(spec: StylizerSpec) -> Stylizer:
    """Return a worker; those of the usual tiny model share it."""
    is_usual = (spec.model.base, spec.model.preset) == ("tiny", "exact")
    return Stylizer(spec, pipeline=tiny() if is_usual else None)


@contextmanager
def threads(spec: StylizerSpec, config: RunConfig) -> Iterator[ThreadPool]:
    """Return the workers of a replay."""
    with closing(ThreadPool(spec, config.stylize, worker)) as pool:
        yield pool


def replayed(
    output: Storage,
    choice: Choice | None = None,
    config: RunConfig | None = None,
    *overrides: str,
) -> dict[str, Verdict]:
    """Draw rows again; return the verdicts by id."""
    records = Records(output)
    chosen = choose(records, choice or Choice())
    replay = Replay(output, records, chosen, threads, config, overrides)
    return {verdict.row_id: verdict for verdict in replay.verdicts()}


def rewritten(output: Storage, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the records of an output in place."""
    for path in output.list("records"):
        table = pq.read_table(pa.BufferReader(output.read(path)))
        rows = table.to_pylist()
        for row in rows:
            change(row)
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, table.schema), sink)
        output.write(path, sink.getvalue().to_pybytes())


def write_inputs(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write a manifest, and the references that its rows may name."""
    for number in range(4):
        picture(40 + 8 * number, 32, seed=number).save(folder / f"ref{number}.png")
    named = [{"id": f"r{number}", **row} for number, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(named, _SCHEMA), folder / "m.parquet")


def inline(seed: int) -> str:
    """Return a picture as a `data:` URI."""
    data = base64.b64encode(encode(picture(24, 24, seed=seed), "PNG")).decode()
    return f"data:image/png;base64,{data}"


def varied(count: int) -> list[dict[str, Any]]:
    """Return rows that differ in everything that decides about an image."""
    choices = product(
        (None, "ref0.png", "ref3.png"),
        range(4),
        ((None, None), (32, 48), (48, 32), (64, None)),
        (1, 2),
        (None, 2.5),
    )
    rows: list[dict[str, Any]] = []
    for number, (content, styles, size, images, guidance) in enumerate(choices):
        style_images = [f"ref{(number + place) % 4}.png" for place in range(styles)]
        if styles == 3:
            style_images[0] = inline(number % 5)
        rows.append(
            {
                "prompt": f"number {number}" if number % 3 else "",
                "content_image": content,
                "style_images": style_images,
                "style_weights": [0.5 + place / 4 for place in range(styles)]
                if number % 4 == 1 and styles
                else None,
                "width": size[0],
                "height": size[1],
                "num_steps": 1 + number % 3,
                "guidance": guidance,
                "seed": number if number % 2 else None,
                "keep_size": bool(content and number % 5 == 0),
                "content_long_size": 48 if content and number % 7 == 0 else None,
                "num_images": images,
                "note": f"of {number}",
            }
        )
    step = len(rows) / count
    return [rows[int(place * step)] for place in range(count)]
