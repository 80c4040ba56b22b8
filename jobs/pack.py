"""`uso pack`: packs the output of a run into a dataset of shards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from jobs import exits, terminal
from jobs.heap import keep_freed_buffers
from jobs.outputs import hint_at_config, left_out_text
from jobs.ray_on_demand import ray_on_demand
from jobs.secret_settings import storage_options
from pipelines.config.cluster import RayConfig
from pipelines.formats import LayoutName
from pipelines.manifest.chosen_ids import read_ids
from pipelines.manifest.source import LOOKING
from pipelines.packing.not_packed import PATH as NOT_PACKED
from pipelines.packing.pack import PackFacts, PackRequest, WriteShards, pack
from pipelines.packing.shard import write_in_threads
from pipelines.storage.storage import Storage

_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class PackCommand:
    """The arguments of `uso pack`.

    Attributes:
        output: the folder or URL of the output.
        layout: the format of the shards.
        to: the folder or URL of the dataset; None: a folder in the output, named after the layout.
        shard_images: the approximate number of images per shard.
        skip_missing: leave out rows whose images are missing or damaged.
        config_path: the YAML file with the storage options; None: there are no options.
        as_json: print one JSON object instead of text.
        ids: the file or URL that lists the ids of the rows to pack; None: all completed rows.
        ray: the address of the Ray cluster whose tasks write the shards; None: this process does.
    """

    output: str
    layout: LayoutName
    to: str | None
    shard_images: int
    skip_missing: bool
    config_path: Path | None
    as_json: bool = False
    ids: str | None = None
    ray: str | None = None


def pack_command(command: PackCommand) -> int:
    """Pack an output and return the exit code. Safe to interrupt and to run again."""
    began = time.monotonic()
    keep_freed_buffers()
    with exits.exit_on_error(), hint_at_config(command.config_path):
        options = storage_options(command.config_path)
        dest = command.to or f"{command.output.rstrip('/')}/{command.layout}"
        request = PackRequest(
            output=Storage.at(command.output, options),
            dest=Storage.at(dest, options),
            layout=command.layout,
            shard_images=command.shard_images,
            skip_missing=command.skip_missing,
            chosen=None if command.ids is None else read_ids(command.ids, options, LOOKING),
        )
        with _writing(command.ray) as write_shards:
            facts = pack(request, write_shards, _progress(terminal.err()))
    left_out = left_out_text(facts.left_out, facts.look) if facts.left_out else ""
    if not facts.rows:
        why = " whose images are there" if facts.lost else f"; {left_out or 'check the path'}"
        exits.print_error(f"{request.output.uri()}: no completed rows{why}")
        return exits.WRONG_INPUT
    if command.as_json:
        terminal.print_json(asdict(facts))
        return exits.DONE
    print_dataset(facts, terminal.out())
    if left_out:
        terminal.out().print(f"left out {left_out}", soft_wrap=True)
    terminal.out().print(f"time     {terminal.duration(time.monotonic() - began)}")
    return exits.DONE


@contextmanager
def _writing(address: str | None) -> Iterator[WriteShards]:
    """Yield the way to write shards: in threads, or in tasks of a cluster."""
    if address is None:
        yield write_in_threads
        return
    # Imported here, because Ray takes a second.
    from pipelines.on_ray.shards import write_on_ray  # noqa: PLC0415

    with ray_on_demand(RayConfig(address=address)) as join:
        yield lambda tasks: write_on_ray(tasks, join)


def print_dataset(facts: PackFacts, console: Console) -> None:
    """Print the size of a packed dataset."""
    console.print(f"dataset  {terminal.one_line(facts.uri)}", soft_wrap=True)
    shards = f"{facts.shards:,} shards, {facts.written:,} of them written now"
    console.print(f"         {facts.images:,} images of {facts.rows:,} rows in {shards}")
    if facts.lost:
        listed = terminal.one_line(f"{facts.uri}/{NOT_PACKED}")
        console.print(f"left out {facts.lost:,} rows with lost images: {listed}", soft_wrap=True)
    if not facts.has_card:
        console.print("         README.md is not from uso, so it was not replaced; datasets may")
        console.print("         cache older rows: give it download_mode='force_redownload'")


def _progress(console: Console) -> Callable[[int, int], None]:
    """Return a callback that prints a line every few seconds, but none in the first seconds."""
    pace = terminal.Pace(_EVERY_S)
    pace.due()

    def show(done: int, total: int) -> None:
        if done and pace.due():
            console.print(f"packing: {done:,} of {total:,} shards")

    return show
