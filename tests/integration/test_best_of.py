"""SIGKILL to the driver while it draws further tries: no try is lost or recorded twice."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import (
    check_ledger,
    manifest_rows,
    read_records,
    run_config,
    run_uso,
    started_uso,
    write_config,
    write_manifest,
    write_references,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(400)]

ROWS = 60
TRIES = 100
WAIT_S = 200


def tried(output: str) -> dict[str, Any]:
    records = read_records(output)
    return {record["id"]: record["tries"] for record in records if record.get("tries")}


def told(output: str, ids: list[str]) -> dict[str, Any]:
    """Check the ledger and the images; return what must not depend on timing."""
    names = ("sha256", "seed", "scores", "tries")
    found = check_ledger(output, ids)
    return {row_id: [record[name] for name in names] for row_id, record in found.items()}


def test_a_killed_run_ends_with_the_tries_of_one_that_was_left_alone(tmp_path: Path) -> None:
    references = write_references(tmp_path / "refs", 6)
    rows = manifest_rows(ROWS, [f"refs/{name}" for name in references])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    ids = [row["id"] for row in rows]
    best_of = {"n": 4, "by": "sharpness", "until": 1e9, "max_extra": TRIES}

    def wanted(name: str, **sections: Any) -> tuple[str, str]:
        output = str(tmp_path / name)
        config = run_config(
            str(manifest), output, scores={"sharpness": {}}, best_of=best_of, **sections
        )
        return str(write_config(tmp_path / f"{name}.yaml", config)), output

    config, killed = wanted("killed", output={"commit_seconds": 0.2, "commit_rows": 4})
    seen = 0
    for _ in range(2):
        with started_uso("run", config) as process:
            end = time.monotonic() + WAIT_S
            while len(tried(killed)) <= seen and time.monotonic() < end:
                assert process.poll() is None
                time.sleep(0.2)
            os.kill(process.pid, signal.SIGKILL)
        seen = len(tried(killed))
        assert 0 < seen < ROWS
    code, said = run_uso("run", config)
    assert code == 0, said
    config, straight = wanted("straight")
    code, said = run_uso("run", config)
    assert code == 0, said
    assert told(killed, ids) == told(straight, ids)
    lists = [*tried(straight).values()]
    assert sum(len(tries) - 1 for tries in lists) == TRIES
    kept = sum(tries[0]["scores"]["sharpness"] for tries in lists)
    firsts = [each for tries in lists for each in tries if each["number"] == 0]
    assert kept > 1.03 * sum(each["scores"]["sharpness"] for each in firsts)
