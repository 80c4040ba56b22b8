"""Ctrl-C and SIGTERM: rows on the actors end and are committed, and the same command resumes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.integration.harness import (
    check_ledger,
    count_parts,
    manifest_rows,
    read_records,
    run_config,
    run_uso,
    started_uso,
    wait_for_parts,
    write_config,
    write_manifest,
    write_references,
)

pytestmark = [pytest.mark.ray, pytest.mark.timeout(200)]


ROWS = 150
ONE = {"actors": 1}  # with two, each start would take a core for another six seconds


@pytest.mark.slow
def test_stop_commit_and_go_on(tmp_path: Path) -> None:
    references = write_references(tmp_path / "refs", 3)
    rows = manifest_rows(ROWS, [f"refs/{name}" for name in references])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    output = str(tmp_path / "out")
    config = write_config(tmp_path / "run.yaml", run_config(str(manifest), output, stylize=ONE))
    recorded: set[str] = set()
    for number in (signal.SIGTERM, signal.SIGINT):
        with started_uso("run", str(config)) as process:
            wait_for_parts(process, output, count_parts(output))
            process.send_signal(number)
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert "same command" in said
        before, recorded = recorded, {record["id"] for record in read_records(output)}
        assert before < recorded
        assert len(recorded) < ROWS
        check_ledger(output, sorted(recorded))  # no image of an unrecorded row

    code, said = run_uso("run", str(config))
    assert code == 0, said
    records = check_ledger(output, [row["id"] for row in rows])
    runs = {record["run_id"] for record in records.values()}
    assert len(runs) == 3
