"""`uso manifest`: builds a manifest, and prints its contents and the next command."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import TimeElapsedColumn

from jobs import exits, terminal
from jobs.rows_again import RowsAgain, SourceInRun, facts_of, print_again, rows_again
from jobs.secret_settings import storage_options
from pipelines.config.schema import RunConfig
from pipelines.errors import ComposeError
from pipelines.storage.filesystems import Options
from pipelines.tools.compose.images import find_images, heic_hint
from pipelines.tools.compose.pairing import (
    Ingredients,
    Pairing,
    RandomStyles,
    Rows,
    grid,
    random_styles,
    zipped,
)
from pipelines.tools.compose.prompts import read_prompts
from pipelines.tools.compose.table import table_rows
from pipelines.tools.compose.write import Written, write_manifest


@dataclass(frozen=True, slots=True)
class Combination:
    """Images, styles and prompts to combine.

    Attributes:
        contents: files, folders, globs and URLs of content images.
        styles: files, folders, globs and URLs of style images.
        prompts: prompts, before those of the file.
        prompt_file: a file or URL of prompts, see `read_prompts`; None: no file.
        columns: the mapping of the columns of `prompt_file`, each as `OURS=THEIRS`.
        pairing: the way to combine them into rows.
        choice: the number and the seed of the styles of `random`.
    """

    contents: Sequence[str]
    styles: Sequence[str]
    prompts: Sequence[str]
    prompt_file: str | None
    columns: Sequence[str]
    pairing: Pairing
    choice: RandomStyles


@dataclass(frozen=True, slots=True)
class TableSource:
    """Tables to convert.

    Attributes:
        urls: the files: paths or URLs.
        columns: the column mapping, each as `OURS=THEIRS`.
        base_uri: the base of relative references; None: the folder of each file.
    """

    urls: Sequence[str]
    columns: Sequence[str]
    base_uri: str | None


Source = Combination | TableSource | SourceInRun


@dataclass(frozen=True, slots=True)
class Target:
    """The file to write.

    Attributes:
        url: its path or URL.
        force: replaces an existing file.
        config: the YAML file with the storage options; None: there are no options.
        as_json: print one JSON object instead of text.
    """

    url: str
    force: bool
    config: Path | None
    as_json: bool = False


def manifest_command(source: Source, target: Target) -> int:
    """Write a manifest, print its contents, and return the exit code.

    An error leaves no partial file.
    """
    with exits.exit_on_error(), ExitStack() as stack:
        options = storage_options(target.config)
        again: RowsAgain | None = None
        left_out: Counter[str] = Counter()
        if isinstance(source, Combination):
            rows, left_out = _combined(source, options, target)
        elif isinstance(source, TableSource):
            rows = table_rows(_table_config(source, target))
        else:
            again = rows_again(source)
            rows = again.rows
        progress = stack.enter_context(terminal.progress_bars(TimeElapsedColumn()))
        task = progress.add_task("rows", total=rows.count if rows.count >= 0 else None)
        written = write_manifest(
            rows,
            target.url,
            options,
            force=target.force,
            on_rows=lambda more: progress.advance(task, more),
        )
    if target.as_json:
        terminal.print_json(
            asdict(written) | {"left_out": left_out} | ({} if again is None else facts_of(again))
        )
        return exits.DONE
    console = terminal.out()
    _print(written, left_out, console)
    if again is not None:
        print_again(again, console)
    return exits.DONE


def _combined(source: Combination, options: Options, target: Target) -> tuple[Rows, Counter[str]]:
    """Return the rows, and the number of files left out of folders, by file ending."""
    contents = find_images(source.contents, options)
    styles = find_images(source.styles, options)
    ingredients = Ingredients(contents.uris, styles.uris, _prompts(source, options))
    left_out = contents.left_out + styles.left_out
    for folder, count in (contents.outputs | styles.outputs).items():
        shown = terminal.one_line(f"left out   {count:,} files of a run's output: {folder}")
        console = terminal.err() if target.as_json else terminal.out()
        console.print(shown, soft_wrap=True)
    if source.pairing == "grid":
        return grid(ingredients), left_out
    if source.pairing == "zip":
        return zipped(ingredients), left_out
    return random_styles(ingredients, source.choice), left_out


def _prompts(source: Combination, options: Options) -> list[str]:
    if source.prompt_file is None:
        return list(source.prompts)
    columns = _columns(source.columns)
    if columns.keys() - {"prompt"}:
        raise ComposeError("--column: with --prompts, only prompt=THEIRS has an effect")
    return [*source.prompts, *read_prompts(source.prompt_file, columns, options)]


def _columns(pairs: Sequence[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for pair in pairs:
        ours, equals, theirs = pair.partition("=")
        if not equals:
            raise ComposeError(f"--column {pair}: give OURS=THEIRS, e.g. prompt=caption")
        columns[ours] = theirs
    return columns


def _table_config(source: TableSource, target: Target) -> RunConfig:
    columns = _columns(source.columns)
    storage: Mapping[str, Any] = {}
    if target.config is not None:
        storage = RunConfig.from_yaml(target.config).storage
    manifest = {"path": list(source.urls), "columns": columns, "base_uri": source.base_uri}
    return RunConfig.model_validate(
        {"manifest": manifest, "output": {"path": "unused"}, "storage": storage}
    )


def _print(written: Written, left_out: Counter[str], console: Console) -> None:
    uri = terminal.one_line(written.uri)
    console.print(f"wrote      {uri}", soft_wrap=True)
    console.print(f"rows       {written.rows:,}")
    counts = ("content images", written.contents), ("styles", written.styles)
    for name, count in (*counts, ("prompts", written.prompts)):
        if count:
            console.print(f"different  {count:,} {name}")
    if left_out:
        endings = (f"{ending or 'no ending'} ({n:,})" for ending, n in left_out.most_common(5))
        others = terminal.one_line(", ".join(endings), 200)
        hint = heic_hint(left_out)
        console.print(f"left out   {left_out.total():,} files of other types: {others}{hint}")
    console.print(f"columns    {terminal.one_line(', '.join(written.columns))}", soft_wrap=True)
    setting = shlex.quote(f"manifest.path={uri}")
    console.print(f"next       uso validate CONFIG --fetch 100 --set {setting}", soft_wrap=True)
