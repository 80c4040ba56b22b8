"""Inputs of the runs: a manifest and its references in a store, and each row's expected result."""

from __future__ import annotations

import io
import itertools
import random
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from benchmarks.chaos.stores import Store
from pipelines.failures import FailureCode
from tests.integration.harness import manifest_rows, run_config, write_manifest, write_references
from tests.pipelines import http_origin


@dataclass(frozen=True, slots=True)
class Inputs:
    """A manifest and its expected results.

    Attributes:
        manifest: URL of the manifest.
        bucket: the bucket that holds everything.
        ids: ids of all rows.
        codes: row id → the code with which the row must fail; all others must complete.
    """

    manifest: str
    bucket: str
    ids: tuple[str, ...]
    codes: Mapping[str, FailureCode]


def write_inputs(store: Store, origin: http_origin.Origin, rows: int, seed: int) -> Inputs:
    """Put a manifest of `rows` rows with a reference each into a new bucket.

    About every tenth row has a reference on a misbehaving HTTP server.
    """
    bucket = store.new_bucket()
    folder = store.folder / "inputs"
    references = [f"refs/{name}" for name in write_references(folder / "refs", rows)]
    table = manifest_rows(rows, references)
    lengths = random.Random(seed)
    for row in table:
        row["num_steps"] = lengths.choice((1, 2, 4, 8))
    codes: dict[str, FailureCode] = {}
    urls = _misbehaving_urls(origin)
    for row, (url, code) in zip(table[3::10], itertools.cycle(urls), strict=False):
        row["content_image"] = url
        if code is not None:
            codes[row["id"]] = code
    write_manifest(folder / "manifest.parquet", table)
    store.put(bucket, folder)
    ids = tuple(row["id"] for row in table)
    return Inputs(f"{store.scheme}://{bucket}/manifest.parquet", bucket, ids, codes)


def configuration(inputs: Inputs, output: str, storage: dict[str, Any]) -> dict[str, Any]:
    """Return a run of two small actors, with timeouts so short that faults of seconds matter."""
    config = run_config(
        inputs.manifest,
        output,
        fetch={"timeout_s": 4, "cache_mb": 0, "allow_private_networks": True},
        stylize={"row_timeout_s": 30, "attempts": 2},
        on_error={"max_failed_fraction": 0.5, "max_consecutive": None},
        ray={"stop_grace_s": 10},
        storage=storage,
    )
    config["output"]["commit_seconds"] = 1
    return config


def _misbehaving_urls(origin: http_origin.Origin) -> list[tuple[str, FailureCode | None]]:
    """Return URLs on the misbehaving server, each with the failure code that it must cause."""
    image = _png()
    return [
        (origin.on("/good.png", http_origin.ok(image)), None),
        (origin.on("/gone.png", http_origin.status(404)), "uri_not_found"),
        (origin.on("/now-and-then.png", _alternating_503(http_origin.ok(image))), None),
        (origin.on("/cut.png", http_origin.ok(image[:-40])), "image_corrupt"),
        (origin.on("/page.png", http_origin.ok(b"<html>sign in</html>")), "image_unsupported"),
        (origin.on("/forbidden.png", http_origin.status(403)), "uri_forbidden"),
        (origin.on("/slow.png", _slow(http_origin.ok(image))), None),
        (origin.on("/hangs.png", http_origin.hang), "uri_timeout"),
    ]


def _alternating_503(answer: http_origin.Answer) -> http_origin.Answer:
    """Answer every other request with 503."""
    turns = itertools.cycle((http_origin.status(503), answer))

    def answer_in_turn(connection: socket.socket) -> None:
        next(turns)(connection)

    return answer_in_turn


def _slow(answer: http_origin.Answer) -> http_origin.Answer:
    def answer_late(connection: socket.socket) -> None:
        time.sleep(1.0)
        answer(connection)

    return answer_late


def _png() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((40, 40), 90).convert("RGB").save(stream, "PNG")
    return stream.getvalue()
