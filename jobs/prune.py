"""`uso prune`: removes the records and images of rows that are no longer in the manifest."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import TimeElapsedColumn

from jobs import exits, terminal
from jobs.secret_settings import resolved_storage
from pipelines.config.schema import RunConfig
from pipelines.errors import PruneError
from pipelines.ledger.lease import Lease
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.part_digests import save_part_digests
from pipelines.ledger.removal import OldRecord
from pipelines.manifest.manifest import Manifest
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from pipelines.tools.planning.model import inspect_model
from pipelines.tools.pruning.prune import (
    Prunable,
    PruneFacts,
    count_prunable,
    find_prunable,
    prune,
)


@dataclass(frozen=True, slots=True)
class PruneCommand:
    """The arguments of `uso prune`.

    Attributes:
        output: the folder or URL of the output.
        config_path: the YAML file of its run.
        overrides: values that replace those of the file, each as `a.b=c`.
        yes: remove; False: only list.
        rows: the number of records to list.
        as_json: print one JSON object instead of text.
    """

    output: str
    config_path: Path
    overrides: Sequence[str]
    yes: bool
    rows: int
    as_json: bool


@dataclass(slots=True)
class _Listing:
    """The records to show.

    Attributes:
        most: largest number of them; None: all.
        shown: the first of them.
    """

    most: int | None
    shown: list[OldRecord] = field(default_factory=list)

    def add(self, record: OldRecord) -> None:
        """Take a record."""
        if self.most is None or len(self.shown) < self.most:
            self.shown.append(record)


def prune_command(command: PruneCommand) -> int:
    """List or remove the records, and return the exit code. Safe to interrupt and to run again."""
    listing = _Listing(None if command.as_json else command.rows)
    with exits.exit_on_error():
        config = _whole(RunConfig.from_yaml(command.config_path, command.overrides))
        options = resolved_storage(config)
        output = Storage.at(command.output, options, create=False)
        _check_place(output, Storage.at(config.output.path, options, create=False))
        manifest = Manifest.open(config, inspect_model(config.model).card)
        with _opened(output, manifest, alone=command.yes) as (ledger, lease):
            if not ledger.counts().records:
                raise PruneError(f"{output.uri()}: no records; check the path")
            with _progress(manifest.total_rows) as advance:
                found = find_prunable(output, ledger, manifest, advance)
            facts = count_prunable(output, found, listing.add)
            if lease is not None:
                facts = prune(output, ledger, found, lease)
                save_part_digests(output)
    console = terminal.out()
    if command.as_json:
        _print_json(output, found, facts, listing, console, removed=command.yes)
    else:
        _print(output, found, facts, listing, console)
        _print_outcome(found, facts, console, removed=command.yes)
    return exits.DONE


def _whole(config: RunConfig) -> RunConfig:
    """Return the configuration with all rows of its manifest: a part would doom the others."""
    return config.model_copy(update={"manifest": config.manifest.whole})


def _check_place(output: Storage, configured: Storage) -> None:
    here, there = output.uri(), configured.uri()
    if here != there and os.path.realpath(here) != os.path.realpath(there):
        raise PruneError(
            f"{here}: the configuration is of another output, {there}; if this one has the same "
            "manifest, give --set output.path=OUTPUT"
        )


@contextmanager
def _opened(
    output: Storage, manifest: Manifest, *, alone: bool
) -> Iterator[tuple[Ledger, Lease | None]]:
    """Open the records; hold the lease if `alone`, because only a change needs it.

    Raises:
        LeaseHeldError: a run uses the output.
    """
    schema = record_schema(pa.schema([]))  # no record is added
    if not alone or not output.exists("records"):
        yield Ledger.view(output, schema, manifest.editions), None
        return
    run_id = f"prune-{secrets.token_hex(4)}"
    with Lease(output, run_id) as lease:
        ledger = Ledger.open(
            output, schema, run_id, taken_from=lease.taken_from, editions=manifest.editions
        )
        yield ledger, lease


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    with terminal.progress_bars(TimeElapsedColumn()) as progress:
        task = progress.add_task("reading the manifest", total=total)
        yield partial(progress.advance, task)


def _print_json(
    output: Storage,
    found: Prunable,
    facts: PruneFacts,
    listing: _Listing,
    console: Console,
    *,
    removed: bool,
) -> None:
    document = {
        "output": output.uri(),
        "manifest_rows": found.rows,
        "records": found.records,
        "other_records": facts.records,
        "other_images": facts.images,
        "removed": removed,
        "ids": [record.row_id for record in listing.shown],
    }
    console.file.write(json.dumps(document, indent=2) + "\n")


def _print(
    output: Storage, found: Prunable, facts: PruneFacts, listing: _Listing, console: Console
) -> None:
    terminal.fact(console, "output", terminal.one_line(output.uri()))
    terminal.fact(console, "manifest", f"{found.rows:,} rows")
    terminal.fact(console, "records", f"{found.records:,}")
    terminal.fact(
        console,
        "others",
        f"{facts.records:,} records of rows that are not in the manifest, {facts.images:,} images",
    )
    for record in listing.shown:
        console.print(f"  {terminal.one_line(record.row_id)}  {record.status}", soft_wrap=True)
    if len(listing.shown) < facts.records:
        console.print(f"  … and {facts.records - len(listing.shown):,} more")


def _print_outcome(found: Prunable, facts: PruneFacts, console: Console, *, removed: bool) -> None:
    if not (facts.records or found.unfinished):
        console.print("There is nothing to remove.")
    elif removed:
        console.print("Removed them. Shards and reports change the next time they are written.")
    else:
        if found.unfinished:
            console.print("An earlier uso prune was interrupted, so images may be left.")
        console.print("Nothing was removed. Run the command with --yes to remove them.")
