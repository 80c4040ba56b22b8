"""Runs as jobs on a real Ray cluster: submit, follow, stop half-way, submit again, complete."""

from __future__ import annotations

import re
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyarrow.parquet as pq
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
from tests.pipelines.http_origin import ok, serving
from tests.tcp_forwarder import forwarding

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
    """Return the environment of a user without a token."""
    return {"HOME": str(tmp_path), "RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": ""}


def job_id(said: str) -> str:
    found = re.search(r"^submitted +(\S+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def listed(head: RayHead) -> dict[str, str]:
    """Return the lines of `uso jobs`, by their first word."""
    code, said = run_uso("jobs", "--address", head.address, env={**head.env, "COLUMNS": "300"})
    assert code == exits.DONE, said
    return {line.split()[0]: line for line in said.splitlines() if line.strip()}


def working_folders(folder: Path, command: str) -> list[str]:
    """Return the working folders below `folder` of processes whose command line has `command`."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        where = str(process.info["cwd"])
        if command in " ".join(process.info["cmdline"] or []) and where.startswith(str(folder)):
            found.append(where)
    return found


@contextmanager
def held_back(image: bytes) -> Iterator[tuple[str, threading.Event]]:
    """Provide the URL of an image that is sent only after the event is set."""
    released = threading.Event()

    def answer(connection: socket.socket) -> None:
        released.wait()
        ok(image)(connection)

    with serving() as origin:
        try:
            yield origin.on("/held.png", answer), released
        finally:
            released.set()


def write_run(folder: Path, held_url: str) -> tuple[str, list[str]]:
    """Write a configuration; return the ids of its 40 rows: 20 quick, then 20 that wait."""
    references = write_references(folder / "refs", 3)
    rows = manifest_rows(40, [f"refs/{name}" for name in references])
    for row in rows[20:]:
        row["style_images"] = [held_url]
    manifest = write_manifest(folder / "manifest.parquet", rows)
    config = run_config(
        str(manifest),
        str(folder / "out"),
        stylize={"actors": 1, "rows_in_flight": 2},
        fetch={"allow_private_networks": True, "timeout_s": 300},
        ray={"stop_grace_s": 120},
    )
    return str(write_config(folder / "wave.yaml", config)), [row["id"] for row in rows]


def stop_while_rows_are_held(
    job: str, head: RayHead, output: str, released: threading.Event
) -> None:
    """Stop a job, and let its current rows end only after it has been told to stop."""
    with started_uso("stop", job, "--address", head.address, env=head.env) as stopping:
        assert stopping.stdout is not None
        assert "waiting for rows in progress" in stopping.stdout.readline()
        before = len(read_records(output))
        released.set()
        said, _ = stopping.communicate(timeout=120)
    assert stopping.returncode == exits.DONE, said
    assert "all finished rows are recorded" in said
    recorded = {record["id"] for record in read_records(output)}
    assert before < len(recorded) < 40
    check_ledger(output, sorted(recorded))  # no image of an unrecorded row


def test_submit_follow_stop_half_way_submit_again_complete(tmp_path: Path, head: RayHead) -> None:
    output, reach = str(tmp_path / "out"), ("--address", head.address)
    write_references(tmp_path, 1)
    with (
        held_back((tmp_path / "ref0.png").read_bytes()) as (url, released),
        forwarding(("127.0.0.1", head.port)) as tunnel,
    ):
        config, ids = write_run(tmp_path, url)
        code, said = run_uso("submit", config, *reach, env=head.env)
        assert code == exits.DONE, said
        assert "address auto" in said
        assert "40 rows" in said
        assert TOKEN not in said
        first = job_id(said)
        assert re.fullmatch(r"wave-\d{8}-\d{6}-[0-9a-f]{4}", first)

        through = ("--address", f"http://127.0.0.1:{tunnel.port}")
        with started_uso("logs", "-f", first, *through, env=head.env) as following:
            wait_for_parts(following, output)
            (driver,) = working_folders(head.folder, "jobs.cli run run.yaml")
            assert "_ray_pkg_" in driver  # the job runs the code that was sent
            # configs/kuberay/rayjob.yaml waits for this name.
            assert set(working_folders(head.folder, "ray::RowActor")) == {driver}
            assert tunnel.cut() > 0
            stop_while_rows_are_held(first, head, output, released)
            log, _ = following.communicate(timeout=120)
        assert following.returncode == exits.INTERRUPTED, log
        assert log.count("Running entrypoint for job") == 1
        assert log.count("Interrupted. Existing records stay.") == 1

        code, said = run_uso("submit", config, "--follow", *reach, env=head.env)
    assert code == exits.DONE, said
    records = check_ledger(output, ids)
    assert len({record["run_id"] for record in records.values()}) == 2
    lines = listed(head)
    assert " stopped " in lines[first]
    assert " done " in lines[job_id(said)]
    assert "40, 0 failed" in lines[job_id(said)]


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
    assert f"job {job_id(said)}: not started" in said
    assert count_parts(str(tmp_path / "out")) == 0


def test_a_manifest_is_checked_on_the_cluster(tmp_path: Path, head: RayHead) -> None:
    names = [f"refs/{name}" for name in write_references(tmp_path / "refs", 3)]
    rows = manifest_rows(12, [*names, "refs/none.png"])
    manifest = write_manifest(tmp_path / "manifest.parquet", rows)
    config = write_config(tmp_path / "wave.yaml", run_config(str(manifest), str(tmp_path / "out")))
    problems, reach = tmp_path / "problems.parquet", ("--address", head.address)
    check = ("submit", str(config), "--validate", "all", "--problems", str(problems))
    code, said = run_uso(*check, "-f", *reach, env=head.env)
    assert code == exits.WRONG_INPUT, said
    assert "references  4 different, 4 fetched" in said
    assert f"job {job_id(said)}: has problems" in said
    found = pq.read_table(problems).to_pylist()
    assert [(one["kind"], one["uri"]) for one in found] == [
        ("uri_not_found", str(tmp_path / "refs/none.png"))
    ]
    assert count_parts(str(tmp_path / "out")) == 0


@pytest.mark.parametrize("command", [("jobs",), ("logs", "x"), ("stop", "x")])
def test_without_the_token(command: tuple[str, ...], head: RayHead, home: dict[str, str]) -> None:
    code, said = run_uso(*command, "--address", head.address, env=home)
    assert code == exits.RUN_FAILED
    assert "set RAY_AUTH_TOKEN" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_cluster_without_a_token(home: dict[str, str]) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="uso", ignore_cleanup_errors=True) as folder,
        ray_head(Path(folder), token="") as open_head,
    ):
        code, said = run_uso("jobs", "--address", open_head.address, env=home)
    assert code == exits.DONE, said
    assert "No jobs that uso submitted." in said


def test_a_job_that_is_not_there(head: RayHead) -> None:
    code, said = run_uso("logs", "nothing", "--address", head.address, env=head.env)
    assert code == exits.RUN_FAILED
    assert "there is no job 'nothing'" in said
