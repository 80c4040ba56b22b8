"""`uso pack`: a run's output as a dataset in shards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from jobs import exits, screen
from jobs.outputs import hint_at_config, storage_options
from jobs.pace import Pace
from jobs.progress import duration
from pipelines.formats import LayoutName
from pipelines.packing.pack import PackFacts, PackRequest, pack
from pipelines.storage.storage import Storage

_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class PackCommand:
    """What was typed.

    Attributes:
        output: the run's output folder or URL.
        layout: of the shards.
        to: the dataset's folder or URL; None: one named after the layout, in the output.
        shard_images: images per shard, about.
        config_path: whose storage options are taken.
    """

    output: str
    layout: LayoutName
    to: str | None
    shard_images: int
    config_path: Path | None


def pack_command(command: PackCommand) -> int:
    """Pack, and return the exit code; safe to interrupt and to run again."""
    began = time.monotonic()
    with exits.exit_on_error(), hint_at_config(command.config_path):
        options = storage_options(command.config_path)
        dest = command.to or f"{command.output.rstrip('/')}/{command.layout}"
        request = PackRequest(
            output=Storage.at(command.output, options),
            dest=Storage.at(dest, options),
            layout=command.layout,
            shard_images=command.shard_images,
        )
        facts = pack(request, progress=_progress(screen.err()))
    if not facts.rows:
        exits.say_error(f"{request.output.uri()}: no completed rows; check the path")
        return exits.WRONG_INPUT
    print_dataset(facts, screen.out())
    screen.out().print(f"time     {duration(time.monotonic() - began)}")
    return exits.DONE


def print_dataset(facts: PackFacts, console: Console) -> None:
    """Say what a packed dataset holds."""
    console.print(f"dataset  {screen.one_line(facts.uri)}", soft_wrap=True)
    shards = f"{facts.shards:,} shards, {facts.written:,} of them written now"
    console.print(f"         {facts.images:,} images of {facts.rows:,} rows in {shards}")
    if not facts.has_card:
        console.print("         README.md is not made by uso, and was left as it is")


def _progress(console: Console) -> Callable[[int, int], None]:
    """A line every few seconds, none about what takes no longer."""
    pace = Pace(_EVERY_S)
    pace.due()

    def say(done: int, total: int) -> None:
        if done and pace.due():
            console.print(f"packing: {done:,} of {total:,} shards")

    return say
