"""`uso status`: counts the records of an output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import exits, terminal
from jobs.outputs import hint_at_config, left_out_text, newest_run_file, replay_text
from jobs.secret_settings import storage_options
from pipelines.ledger.counts import LedgerCounts
from pipelines.ledger.flags import FlagCounts, count_flags
from pipelines.ledger.ledger import iter_records
from pipelines.ledger.liveness import liveness
from pipelines.ledger.look import look_at
from pipelines.ledger.records import Records
from pipelines.ledger.score_means import mean_scores
from pipelines.record import NSFW_SCORE, SCORES
from pipelines.storage.patience import LOOK_S
from pipelines.storage.storage import Storage

_COLUMNS = ("id", "status", "outputs", "width", "height", "error")


def status_command(output: str, *, as_json: bool, rows: int, config_path: Path | None) -> int:
    """Print the counts of an output's records, and return the exit code.

    Works during a run, too, and counts the committed records.

    Args:
        output: the folder or URL of the output.
        as_json: print one JSON object instead of text.
        rows: the number of records to print.
        config_path: the YAML file with the storage options; None: there are no options.
    """
    with exits.exit_on_error(), hint_at_config(config_path):
        storage = open_output(output, config_path, patience_s=LOOK_S)
        look = look_at(storage)
        counts = look.counts
        flags, means = FlagCounts(), {}
        if look.written.intersection((NSFW_SCORE, SCORES)):
            records = Records(storage)
            flags, means = count_flags(records), mean_scores(records)
        last_run = _read_last_run_alive(storage)
        shown = _first_records(storage, rows) if counts.records else []
    if not (counts.records or last_run):
        exits.print_error(f"{storage.uri()}: no records and no runs; check the path")
        return exits.WRONG_INPUT
    if as_json:
        found = {**_as_dict(storage, counts, last_run), **asdict(flags), "scores": means}
        terminal.print_json(found)
    else:
        console = terminal.out()
        print_counts(storage, counts, last_run, console, flags)
        if means:
            console.print(f"scores     {terminal.score_means(means)}", soft_wrap=True)
        if shown:
            console.print(_record_table(storage, shown, console.width))
    return exits.DONE


def open_output(output: str, config_path: Path | None, *, patience_s: float = 120) -> Storage:
    """Return an output as a storage.

    Args:
        output: its folder or URL.
        config_path: the YAML file with the storage options; None: there are no options.
        patience_s: seconds for which the store may be unavailable.

    Raises:
        ConfigError: the configuration is wrong.
        StorageError: the URL is unusable.
    """
    return Storage.at(output, storage_options(config_path), patience_s=patience_s)


def _first_records(storage: Storage, most: int) -> list[dict[str, Any]]:
    if not most:
        return []
    batches = iter_records(storage, _COLUMNS, batch_rows=most)
    return list(islice(chain.from_iterable(batch.to_pylist() for batch in batches), most))


def read_last_run(storage: Storage) -> dict[str, Any] | None:
    """Return the state of the last run from its run file, or None if there was no run.

    Raises:
        StorageError: the run file cannot be read.
    """
    newest = newest_run_file(storage)
    if newest is None:
        return None
    try:
        document = json.loads(storage.read(newest))
    except ValueError:  # people read the run file; the counts come from the records
        document = {"run_id": newest, "state": "unknown", "reason": "its run file is damaged"}
    names = ("run_id", "state", "reason", "started_at", "updated_at")
    total = document.get("counts", {}).get("total")
    found = {**{name: document.get(name) for name in names}, "total": total}
    replay = document.get("replay")
    return found if replay is None else {**found, "replay": replay}


def _read_last_run_alive(storage: Storage) -> dict[str, Any] | None:
    """Read the state of the last run: `killed` if its driver has died without a word.

    Raises:
        StorageError: the run file or the lease cannot be read.
    """
    last_run = read_last_run(storage)
    if last_run is None or last_run["state"] != "running":
        return last_run
    signs = liveness(storage, last_run["run_id"])
    found = {**last_run, "driver": signs.driver, "heartbeat_at": signs.heartbeat_at}
    if signs.driver == "dead":
        now = read_last_run(storage)
        if now != last_run:  # it has ended between the two looks
            return now
        reason = "its driver has ended without a word; the same command resumes the run"
        return {**found, "state": "killed", "reason": reason}
    if signs.driver == "silent":
        reason = f"no heartbeat since {signs.heartbeat_at}: its driver was killed, or is cut off"
        return {**found, "reason": reason}
    return found


def _as_dict(
    storage: Storage, counts: LedgerCounts, last_run: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {
        "output": storage.uri(),
        "completed": counts.completed,
        "failed": counts.failed,
        "failed_by_code": dict(counts.failed_by_code),
        "examples": {
            code: {"id": example.row_id, "message": example.message}
            for code, example in counts.examples.items()
        },
        "left_out": _left_out(counts),
        "last_run": last_run,
    }


def _left_out(counts: LedgerCounts) -> dict[str, Any]:
    look = None if counts.look is None else asdict(counts.look)
    return {"records": counts.left_out, **(look or {})}


def print_counts(
    storage: Storage,
    counts: LedgerCounts,
    last_run: Mapping[str, Any] | None,
    console: Console,
    flags: FlagCounts,
) -> None:
    """Print the counts of an output, and the state of its last run."""
    console.print(f"output     {terminal.one_line(storage.uri())}", soft_wrap=True)
    if last_run is not None:
        console.print(f"last run   {_run_line(last_run)}", soft_wrap=True)
    if last_run is not None and "replay" in last_run:
        rows = f"{last_run['replay']['rows']:,} rows again"
        console.print(f"replayed   {rows}: {replay_text(last_run['replay'])}", soft_wrap=True)
    recorded = counts.completed + counts.failed
    share = f" ({counts.failed / recorded:.2%})" if recorded else ""
    console.print(f"recorded   {recorded:,} rows")
    console.print(f"completed  {counts.completed:,}")
    console.print(f"failed     {counts.failed:,}{share}")
    if counts.failed:
        console.print(terminal.failure_table(_failures(counts)))
    if flags.checked:
        text = f"{flags.flagged:,} of {flags.checked:,} images that the safety check has seen"
        console.print(f"flagged    {text}")
    if counts.left_out:
        text = left_out_text(counts.left_out, counts.look)
        console.print(f"left out   {text}", soft_wrap=True)


def _run_line(last_run: Mapping[str, Any]) -> str:
    line = f"{last_run['run_id']}: {last_run['state']}"
    if last_run["updated_at"]:
        line += f" at {last_run['updated_at']}"
    return terminal.one_line(f"{line}: {last_run['reason']}" if last_run["reason"] else line)


def _failures(counts: LedgerCounts) -> Iterator[terminal.FailureRow]:
    for code, count in counts.failed_by_code.items():
        example = counts.examples.get(code)
        yield terminal.FailureRow(
            code, count, example.row_id if example else "", example.message if example else ""
        )


def _record_table(storage: Storage, records: list[dict[str, Any]], width: int) -> Table:
    """Return a table with one line per record, in the order of their ids.

    Args:
        storage: the output.
        records: the records to show.
        width: characters of a line; long ids, such as paths, leave some to the other columns.
    """
    table = Table(title="Records", title_justify="left", box=box.SIMPLE_HEAD, expand=True)
    table.add_column("id", no_wrap=True, min_width=22, max_width=max(22, width * 2 // 5))
    table.add_column("status", no_wrap=True)
    table.add_column("size", no_wrap=True)
    table.add_column("images", justify="right", no_wrap=True)
    table.add_column("first image, or error", no_wrap=True, ratio=1)
    for record in sorted(records, key=lambda record: str(record["id"])):
        table.add_row(*(Text(terminal.one_line(cell, 300)) for cell in _cells(storage, record)))
    return table


def _cells(storage: Storage, record: Mapping[str, Any]) -> tuple[str, ...]:
    error, outputs = record["error"], record["outputs"] or []
    size = f"{record['width']}x{record['height']}" if outputs else ""
    if error is None:
        result = outputs[0].removeprefix(f"{storage.uri()}/") if outputs else ""
    else:
        result = f"{error['code']}: {error['message']}"
    return record["id"], record["status"], size, str(len(outputs)) if outputs else "", result
