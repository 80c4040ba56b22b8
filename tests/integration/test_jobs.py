"""Runs as jobs of a real Ray cluster: submit, follow, stop half-way, submit again, complete."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs import exits
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
from tests.integration.ray_head import RayHead, ray_head

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

TOKEN = "a-token-of-this-test-0123456789abcdef"


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with (
        tempfile.TemporaryDirectory(prefix="uso", ignore_cleanup_errors=True) as folder,
        ray_head(Path(folder), TOKEN) as started,
    ):
        yield started


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has no token."""
    return {"HOME": str(tmp_path), "RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": ""}


def job_id(said: str) -> str:
    found = re.search(r"^submitted +(\S+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def working_folder(job_command: str) -> str:
    """Where the process with this at the end of its command line runs."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if " ".join(process.info["cmdline"] or []).endswith(job_command):
            return str(process.info["cwd"])
    raise AssertionError(f"no process runs {job_command}")


def test_submit_follow_stop_half_way_submit_again_complete(tmp_path: Path, head: RayHead) -> None:
    references = write_references(tmp_path / "refs", 3)
    rows = manifest_rows(80, [f"refs/{name}" for name in references])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    output = str(tmp_path / "out")
    config = str(write_config(tmp_path / "wave.yaml", run_config(str(manifest), output)))
    reach = ("--address", head.address)

    code, said = run_uso("submit", config, *reach, env=head.env)
    assert code == exits.DONE, said
    assert "address auto" in said
    assert "80 rows" in said
    first = job_id(said)
    assert re.fullmatch(r"wave-\d{8}-\d{6}-[0-9a-f]{4}", first)
    assert TOKEN not in said

    with started_uso("logs", "-f", first, *reach, env=head.env) as following:
        wait_for_parts(following, output)
        assert "_ray_pkg_" in working_folder("jobs.cli run run.yaml")  # what was sent is what runs
        code, said = run_uso("stop", first, *reach, env=head.env)
        assert code == exits.DONE, said
        assert "what it drew is recorded" in said
        log, _ = following.communicate(timeout=60)
    assert following.returncode == exits.INTERRUPTED, log
    assert "Interrupted. What was recorded stays." in log
    recorded = {record["id"] for record in read_records(output)}
    assert 0 < len(recorded) < 80
    check_ledger(output, sorted(recorded))  # no image of a row that was not recorded

    code, said = run_uso("submit", config, "--follow", *reach, env=head.env)
    assert code == exits.DONE, said
    second = job_id(said)
    records = check_ledger(output, [row["id"] for row in rows])
    assert len({record["run_id"] for record in records.values()}) == 2

    code, said = run_uso("jobs", *reach, env={**head.env, "COLUMNS": "300"})
    assert code == exits.DONE, said
    lines = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert " stopped " in lines[first]
    assert " done " in lines[second]
    assert "80, 0 failed" in lines[second]


def test_a_job_with_a_wrong_manifest_says_so(tmp_path: Path, head: RayHead) -> None:
    config = str(
        write_config(tmp_path / "gone.yaml", run_config("/nowhere.parquet", str(tmp_path / "out")))
    )
    reach = ("--address", head.address)

    code, said = run_uso("submit", config, *reach, env=head.env)
    assert code == exits.WRONG_INPUT, said
    assert "/nowhere.parquet: does not exist" in said
    assert "submitted" not in said

    code, said = run_uso("submit", config, "--no-check", "-f", *reach, env=head.env)
    assert code == exits.WRONG_INPUT, said
    assert "/nowhere.parquet: does not exist" in said
    assert f"job {job_id(said)}: wrong configuration" in said
    assert count_parts(str(tmp_path / "out")) == 0


@pytest.mark.parametrize("command", [("jobs",), ("logs", "x"), ("stop", "x")])
def test_without_the_token(command: tuple[str, ...], head: RayHead, home: dict[str, str]) -> None:
    code, said = run_uso(*command, "--address", head.address, env=home)
    assert code == exits.RUN_FAILED
    assert "set RAY_AUTH_TOKEN" in said
    assert "Traceback" not in said


def test_a_job_that_is_not_there(head: RayHead) -> None:
    code, said = run_uso("logs", "nothing", "--address", head.address, env=head.env)
    assert code == exits.RUN_FAILED
    assert "there is no job 'nothing'" in said
