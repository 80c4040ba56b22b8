"""SIGKILL to the driver at random moments; afterwards, every row is recorded exactly once."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

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
from tests.s3_server import S3Server

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

ROWS = 400
KILLS = 3


def kill_and_finish(
    config: Path, output: str, seed: int, options: dict[str, Any], env: dict[str, str]
) -> tuple[int, list[int]]:
    """Kill three runs at random moments of their work, then let one finish.

    Returns:
        The last run's exit code, and the number of records after each kill.
    """
    moments = random.Random(seed)
    recorded = []
    for _ in range(KILLS):
        with started_uso("run", str(config), env=env) as process:
            wait_for_parts(process, output, count_parts(output, options), options)
            time.sleep(moments.uniform(0, 1.5))
            os.kill(process.pid, signal.SIGKILL)
        recorded.append(len(read_records(output, options)))
    code, said = run_uso("run", str(config), env=env)
    assert "Traceback" not in said, said
    return code, recorded


@pytest.mark.slow
def test_on_local_disk(tmp_path: Path) -> None:
    references = write_references(tmp_path / "refs", 6)
    rows = manifest_rows(ROWS, [f"refs/{name}" for name in references])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    output = str(tmp_path / "out")
    settings = run_config(str(manifest), output, stylize={"actors": 1})
    config = write_config(tmp_path / "run.yaml", settings)
    code, recorded = kill_and_finish(config, output, 1, {}, {})
    assert code == 0
    assert 0 < recorded[0] < recorded[1] < recorded[2] < ROWS
    records = check_ledger(output, [row["id"] for row in rows])
    assert {record["status"] for record in records.values()} == {"completed"}
    assert all(record["bucket"] is not None for record in records.values())


@pytest.mark.s3
@pytest.mark.slow
def test_on_an_object_store(tmp_path: Path, s3_server: S3Server) -> None:
    """Put manifest, references, images and records on S3; keys come from the environment."""
    bucket = s3_server.new_bucket()
    local = s3_server.folder / bucket
    references = write_references(local / "refs", 6)
    rows = manifest_rows(ROWS, [f"refs/{name}" for name in references])
    write_manifest(local / "manifest.parquet", rows)
    output = f"s3://{bucket}/out"
    settings = run_config(
        f"s3://{bucket}/manifest.parquet",
        output,
        storage={"s3": {"key": "${TEST_S3_KEY}", "secret": "${TEST_S3_SECRET}"}},
    )
    config = write_config(tmp_path / "run.yaml", settings)
    env = {
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "TEST_S3_KEY": s3_server.key,
        "TEST_S3_SECRET": s3_server.secret,
    }
    options = s3_server.options["s3"]
    code, recorded = kill_and_finish(config, output, 2, options, env)
    assert code == 0
    assert 0 < recorded[0] < recorded[1] < recorded[2] < ROWS
    records = check_ledger(output, [row["id"] for row in rows], options)
    assert {record["status"] for record in records.values()} == {"completed"}
    run_files = "".join(path.read_text() for path in (local / "out" / "run").glob("*.json"))
    assert s3_server.secret not in run_files
