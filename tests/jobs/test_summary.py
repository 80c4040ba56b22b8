from __future__ import annotations

import io
import json
import shlex
from dataclasses import replace

import pytest
from rich.console import Console

from jobs.summary import as_dict, exit_code, print_summary
from pipelines.driver.summary import RunSummary
from pipelines.telemetry.stats import FailureCount
from uso_core.model.cache import Lookups

SUMMARY = RunSummary(
    run_id="r1",
    output_uri="/data/out",
    completed=12,
    failed=4,
    skipped=3,
    changed=2,
    images=13,
    failures=(
        FailureCount("uri_not_found", 3, "row-1", "nothing is there"),
        FailureCount("image_corrupt", 1, "row\x1b[2J-2", "not a [red]whole[/red] image"),
    ),
    elapsed_s=61.2,
    images_per_s=0.21,
    first_image_s=5.0,
    failed_fraction=4 / 19,
    within_budget=True,
    interrupted=False,
)


def printed(summary: RunSummary) -> str:
    stream = io.StringIO()
    print_summary(summary, 0.25, Console(file=stream, width=120, markup=False))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        (SUMMARY, 0),
        (replace(SUMMARY, within_budget=False), 3),
        (replace(SUMMARY, interrupted=True), 130),
        (replace(SUMMARY, interrupted=True, within_budget=False), 130),
    ],
)
def test_exit_code(summary: RunSummary, code: int) -> None:
    assert exit_code(summary) == code


def test_summary_counts_undelivered_events() -> None:
    assert "not delivered" not in printed(SUMMARY)
    lines = printed(replace(SUMMARY, undelivered_events=2)).splitlines()
    assert [line.split() for line in lines if line.startswith("notify")] == [
        ["notify", "2", "events", "were", "not", "delivered"]
    ]


def test_summary_has_counts_and_the_next_commands() -> None:
    text = printed(SUMMARY)
    words = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert words["completed"] == ["12", "13", "images"]
    assert words["failed"][:2] == ["4", "21.05%"]
    assert words["skipped"][0] == "3"
    assert words["changed"][0] == "2"
    assert words["time"][:2] == ["0:01:01", "0.21"]
    assert "uso status /data/out --rows 20" in text
    assert "duckdb -c \"FROM '/data/out/records/*.parquet' SELECT" in text


def test_summary_names_the_command_that_resumes_or_retries() -> None:
    assert "resume   run the same command again" in printed(replace(SUMMARY, interrupted=True))
    earlier = replace(
        SUMMARY, failed=0, failures=()
    )  # rows failed in an earlier run, and were skipped in this one
    assert "retry    after a repair, run the same command with --retry-failed" in printed(earlier)
    assert "--retry-failed" not in printed(replace(earlier, failed_fraction=0.0))


def test_summary_shows_the_hit_rates_of_the_caches() -> None:
    caches = {"references": Lookups(), "prompts": Lookups(3, 1), "styles": Lookups(0, 2)}
    assert "reused" not in printed(SUMMARY)
    line = next(
        line for line in printed(replace(SUMMARY, caches=caches)).splitlines() if "reu" in line
    )
    assert line.split() == ["reused", "prompts", "75%,", "styles", "0%"]


@pytest.mark.parametrize("output", ['/data/it\'s/o"u"t', "/data/$HOME", "/data/a b"])
def test_printed_commands_survive_a_shell(output: str) -> None:
    text = printed(replace(SUMMARY, output_uri=output, failures=()))
    commands = {line[9:] for line in text.splitlines() if line.startswith(("see it", " " * 9))}
    parsed = {tuple(shlex.split(command)[:3]) for command in commands}
    records = f"{output}/records/*.parquet".replace("'", "''")
    assert parsed == {
        ("uso", "status", output),
        ("duckdb", "-c", f"FROM '{records}' SELECT id, status, outputs, error.code"),
    }


def test_failures_have_a_count_and_an_escaped_example() -> None:
    text = printed(SUMMARY)
    assert "uri_not_found" in text
    assert "row-1: nothing is there" in text
    assert r"row\x1b[2J-2: not a [red]whole[/red] image" in text
    assert "\x1b" not in text


def test_the_status_command_has_the_storage_options() -> None:
    stream = io.StringIO()
    options = ("--config", "my run.yaml")
    print_summary(SUMMARY, 0.25, Console(file=stream, width=120, markup=False), options)
    assert "uso status /data/out --config 'my run.yaml' --rows 20" in stream.getvalue()


def test_over_budget_names_both_fractions() -> None:
    text = printed(replace(SUMMARY, within_budget=False))
    assert "21.05% of the rows failed; on_error.max_failed_fraction allows 25.00%" in text


def test_an_interrupted_run_names_the_command_that_resumes_it() -> None:
    text = printed(replace(SUMMARY, interrupted=True))
    assert text.startswith("Interrupted.")
    assert "run the same command again" in text


def test_summary_names_records_that_do_not_count_and_the_command_that_removes_them() -> None:
    assert "left out" not in printed(SUMMARY)
    text = printed(replace(SUMMARY, left_out=3))
    assert "left out 3 records of rows that are no longer in the manifest\n" in text
    assert "prune    uso prune /data/out CONFIG\n" in text
    one = printed(replace(SUMMARY, left_out=1))
    assert "1 record of a row that is no longer in the manifest" in one


def test_summary_counts_records_with_new_values() -> None:
    assert "updated" not in printed(SUMMARY)
    text = printed(replace(SUMMARY, new_values=12))
    assert "updated  12 records took new values of other columns\n" in text


def test_the_summary_as_json_has_every_count() -> None:
    document = json.loads(json.dumps(as_dict(replace(SUMMARY, interrupted=True))))
    assert (document["completed"], document["failed"], document["exit_code"]) == (12, 4, 130)
    assert document["failures"][0] == {
        "code": "uri_not_found", "count": 3, "row_id": "row-1", "message": "nothing is there"
    }  # fmt: skip
    assert document["dataset"] is None
