"""A malicious manifest: nothing leaves the output folder, and nothing forbidden is read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.harness import (
    check_ledger,
    run_config,
    run_uso,
    write_config,
    write_references,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(200)]

SECRET = "hush5ecret0123456789"
STEERS_A_TERMINAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31mred \u202egnp.exe"
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>"

IDS = ["../../escaped", "/etc/cron.d/x", "..", "C:\\x", HTML, ESCAPES, "é" * 256, "é" * 257, "dup"]
BAD_REFERENCES = {
    f"http://user:{SECRET}@127.0.0.1:9/a.png?X-Amz-Signature={SECRET}": "uri_refused",
    "http://169.254.169.254/latest/meta-data/": "uri_refused",
    "http://[::ffff:127.0.0.1]/": "uri_refused",
    "../../../../../../etc/passwd": "uri_refused",
    "file:///etc/passwd": "uri_refused",
    f"ftp://user:{SECRET}@host/{ESCAPES}": "uri_refused",
    "data:image/png;base64,AAAA": "image_unsupported",
}


def write_hostile_manifest(path: Path) -> None:
    references = [None] * (len(IDS) + 1) + list(BAD_REFERENCES)
    ids = [*IDS, "dup", *(f"reference-{n}" for n in range(len(BAD_REFERENCES)))]
    table = pa.table(
        {
            "id": ids,
            "prompt": [f"{ESCAPES} {HTML}"] * len(ids),
            "content_image": pa.array(references, pa.string()),
            "<b>mine</b>": [HTML] * len(ids),
        }
    )
    pq.write_table(table, path)


def test_a_hostile_manifest(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_references(home / "refs", 1)
    write_hostile_manifest(home / "manifest.parquet")
    output = home / "out"
    settings = run_config(
        str(home / "manifest.parquet"),
        str(output),
        defaults={"width": 32, "height": 32, "num_steps": 1, "content_long_size": 32},
        fetch={"local_roots": [str(home / "refs")], "timeout_s": 5},
        stylize={"actors": 1},
        ray={"env": {"A_TOKEN": "${A_TOKEN}"}},
        storage={"s3": {"key": "${A_TOKEN}", "secret": "${A_TOKEN}"}},
    )
    config = write_config(home / "run.yaml", settings)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}

    code, said = run_uso("run", str(config), "-v", env={"A_TOKEN": SECRET})
    assert code == 3, said
    status_code, shown = run_uso("status", str(output), "--rows", "100")
    json_code, as_json = run_uso("status", str(output), "--json")
    assert (status_code, json_code) == (0, 0)

    records = [*check_ledger_of(output).values()]
    by_reference = {r["content_image"]: r for r in records if r["content_image"] is not None}
    codes = sorted(record["error"]["code"] for record in by_reference.values())
    assert codes == sorted(BAD_REFERENCES.values())
    rejected = [r for r in records if r["error"] and r["error"]["code"] == "invalid_request"]
    assert len(rejected) == 2  # the long id, and the second row of a name
    assert sum(record["status"] == "completed" for record in records) == len(IDS) - 1

    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(output) for path in new), "a file outside of the output"
    # A record keeps the row's own reference; its file is compressed, so it is read as rows.
    files = [path for path in new if not path.is_relative_to(output / "records")]
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    assert not any(SECRET in repr({**record, "content_image": None}) for record in records)
    for text in (said, shown, as_json):
        assert SECRET not in text
        assert STEERS_A_TERMINAL.search(text) is None
    assert json.loads(as_json)["failed"] == len(BAD_REFERENCES) + 2


def check_ledger_of(output: Path) -> dict[str, dict[str, Any]]:
    """Return the records, after asserting that exactly their images exist."""
    ids = pq.read_table(output / "records", columns=["id"])["id"].to_pylist()
    return check_ledger(str(output), ids)
