"""A tenth of all rows is broken, in ten ways: of a thousand rows, and by default of 200."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.integration.harness import (
    check_ledger,
    manifest_rows,
    run_config,
    run_uso,
    write_config,
    write_manifest,
    write_references,
)
from tests.pipelines import http_origin

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]


def jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((width, height), 80).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def origin() -> Iterator[http_origin.Origin]:
    with http_origin.serving() as server:
        yield server


def broken_ways(folder: Path, origin: http_origin.Origin) -> list[tuple[dict[str, Any], str]]:
    """Return changes to a good row, each with the failure code that it must cause."""
    (folder / "cut.jpg").write_bytes(jpeg(200, 200)[:-2000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "page.jpg").write_text("<html><body>rate limited</body></html>")
    (folder / "huge.jpg").write_bytes(jpeg(500, 500))
    Image.new("1", (3000, 3000)).save(folder / "bomb.png")
    hang = origin.on("/hang.jpg", http_origin.hang)
    forbidden = origin.on("/forbidden.jpg", http_origin.status(403))
    return [
        ({"content_image": "refs/no-such-file.png"}, "uri_not_found"),
        ({"content_image": "refs/cut.jpg"}, "image_corrupt"),
        ({"content_image": "refs/empty.png"}, "image_corrupt"),
        ({"content_image": "refs/page.jpg"}, "image_unsupported"),
        ({"content_image": "refs/bomb.png"}, "image_too_large"),
        ({"content_image": "refs/huge.jpg"}, "uri_too_large"),
        ({"content_image": "ftp://example.org/a.jpg"}, "uri_refused"),
        ({"content_image": hang}, "uri_timeout"),
        ({"content_image": forbidden}, "uri_forbidden"),
        ({"width": 100_000}, "invalid_request"),
    ]


@pytest.mark.parametrize("per_way", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_each_broken_row_fails_with_its_code_and_costs_no_other(
    tmp_path: Path, origin: http_origin.Origin, per_way: int
) -> None:
    references = write_references(tmp_path / "refs", 6)
    ways = broken_ways(tmp_path / "refs", origin)
    broken = len(ways) * per_way
    rows = manifest_rows(10 * broken, [f"refs/{name}" for name in references])
    expected: dict[str, str] = {}
    for n in range(broken):
        change, code = ways[n % len(ways)]
        row = rows[n * 10 + 3]
        row |= change
        expected[row["id"]] = code
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    output = str(tmp_path / "out")
    settings = run_config(
        str(manifest),
        output,
        fetch={
            "timeout_s": 0.5,
            "allow_private_networks": True,
            "max_mb": 0.06,
            "max_megapixels": 4,
        },
        stylize={"attempts": 1, "max_rows_in_flight": 16},
        on_error={"max_failed_fraction": 0.0999},
    )
    config = write_config(tmp_path / "run.yaml", settings)

    exit_code, said = run_uso("run", str(config))
    assert exit_code == 3, said  # 10 % failed, 9.99 % allowed
    records = check_ledger(output, [row["id"] for row in rows])
    failed = {i: r["error"]["code"] for i, r in records.items() if r["status"] == "failed"}
    assert failed == expected
    assert len(records) - len(failed) == 9 * broken

    status_code, counted = run_uso("status", output, "--json")
    assert status_code == 0
    counts = json.loads(counted)
    assert (counts["completed"], counts["failed"]) == (9 * broken, broken)
    assert counts["failed_by_code"] == dict(Counter(expected.values()))

    within = ["--set", "on_error.max_failed_fraction=0.1", "--set", "stylize.actors=1"]
    exit_code, said = run_uso("run", str(config), *within)  # only time-outs are retried
    assert exit_code == 0, said
    again = check_ledger(output, [row["id"] for row in rows])
    first_run = next(iter(records.values()))["run_id"]
    generated_again = {i for i, record in again.items() if record["run_id"] != first_run}
    assert generated_again == {i for i, code in expected.items() if code == "uri_timeout"}
