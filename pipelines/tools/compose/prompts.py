"""Reads prompts: the lines of a text file, or the column of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import pyarrow as pa

from pipelines.config.inputs import ManifestConfig
from pipelines.errors import ComposeError
from pipelines.fields import cells
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.files import open_tables
from pipelines.manifest.row_parser import OversizedRow, UnreadableRow
from pipelines.manifest.source import READING
from pipelines.manifest.table import Table
from pipelines.manifest.table_formats import FORMATS
from pipelines.storage.files import Place
from pipelines.storage.filesystems import Options
from uso_core.errors import InvalidRequestError

_ENDINGS = tuple(ending for it in FORMATS.values() for ending in it.endings)


def read_prompts(url: str, columns: Mapping[str, str], options: Options) -> list[str]:
    """Return the prompts in a file.

    A file whose name ends like a table is a table; its prompts are in the column `prompt`, or in
    the one that `columns` names, and an empty cell is an empty prompt. Any other file is text with
    a prompt in each line, and empty lines at its end do not count.

    Args:
        url: a path or any fsspec URL.
        columns: the name of the column as `{"prompt": NAME}`; may be empty.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        ComposeError: the file has no prompt, or no such column, or is not text in UTF-8.
        ManifestError: the file is not there or cannot be read.
    """
    if PurePosixPath(url.partition("?")[0]).suffix.lower() in _ENDINGS:
        found = list(_of_tables(url, columns, options))
    else:
        found = _lines(url, options)
    if not any(prompt.strip() for prompt in found):
        raise ComposeError(f"{url}: contains no prompt; for an empty prompt, give --prompt ''")
    return found


def _lines(url: str, options: Options) -> list[str]:
    file = Place(url, options, READING).file()
    if file is None:
        raise ComposeError(f"{url}: is a folder; give a file with a prompt in each line")
    with file.open_lines() as source:
        try:
            text = source.read().decode("utf-8-sig")
        except UnicodeError as error:
            raise ComposeError(f"{url}: cannot be read as UTF-8 ({error})") from error
    return [line.strip() for line in text.rstrip().split("\n")]


def _of_tables(url: str, columns: Mapping[str, str], options: Options) -> Iterator[str]:
    section = {"path": url, "columns": columns, "keep_columns": "none"}
    for table in open_tables(ManifestConfig.model_validate(section), options):
        name = columns.get("prompt", "prompt")
        if name not in table.schema.names:
            held = ", ".join(table.schema.names) or "none"
            raise ComposeError(
                f"{table.uri}: no column {name!r}; its columns are {held}; name yours with "
                "--column prompt=COLUMN, or give the prompts in a .txt file, one per line"
            )
        yield from _of_table(table, name)


def _of_table(table: Table, name: str) -> Iterator[str]:
    for batch in table.batches(ColumnPlan({"prompt": name}, pa.schema([]), ())):
        for raw, _ in batch.rows():
            if isinstance(raw, UnreadableRow):
                raise ComposeError(f"{raw.where}: {raw.reason}; correct this line or remove it")
            if isinstance(raw, OversizedRow):
                raise ComposeError(
                    f"{table.uri}: its column {name!r} holds a value that is too large"
                )
            cell = raw["prompt"]
            try:
                yield "" if cell is None else cells.text(name, cell)
            except InvalidRequestError as error:
                raise ComposeError(f"{table.uri}: {error}") from error
