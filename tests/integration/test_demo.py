"""The demo, as `make demo` runs it: its guarantees, and a second run without work."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.console import consoles, missing
from tests.integration.harness import ROOT, check_ledger, run_uso

pytestmark = [pytest.mark.ray, pytest.mark.timeout(200)]

MANIFEST = ROOT / "examples" / "demo" / "manifest.parquet"
MUST_FAIL = {
    "fails-missing-file": "uri_not_found",
    "fails-truncated-jpeg": "image_corrupt",
    "fails-width": "invalid_request",
    "fails-private-address": "uri_refused",
}


def test_the_demo_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")  # the width of the page's console
    output = str(tmp_path / "out")
    command = ("run", "configs/demo.yaml", "--set", f"output.path={output}")
    code, said = run_uso(*command)
    assert code == 0, said
    (command_shown, lines), *_ = consoles(ROOT / "docs/quickstart.md")[0]
    assert command_shown == "make demo"
    assert missing([line.replace("out/demo", output) for line in lines], said) == [], said
    rows = {row["id"]: row for row in pq.read_table(MANIFEST).to_pylist()}
    records = check_ledger(output, list(rows))
    failed = {i: record["error"]["code"] for i, record in records.items() if record["error"]}
    assert failed == MUST_FAIL
    assert {i: record["shows"] for i, record in records.items()} == {
        i: row["shows"] for i, row in rows.items()
    }
    assert len(records["text-two-images"]["outputs"]) == 2
    assert (records["text-wide"]["width"], records["text-wide"]["height"]) == (96, 64)
    assert records["content-and-style"]["seed"] == 42

    code, said = run_uso("status", output, "--json")
    assert (code, json.loads(said)["completed"], json.loads(said)["failed"]) == (0, 12, 4)

    code, said = run_uso(*command, "--set", "on_error.max_failed_fraction=0.2")
    assert code == 3, said
    assert "25.00% of the rows failed; on_error.max_failed_fraction allows 20.00%" in said
    assert check_ledger(output, list(rows)) == records
