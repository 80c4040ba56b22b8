"""Counts problems by kind, with examples, and writes them to a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ConfigError
from pipelines.manifest.source import READING
from pipelines.storage.files import Place
from pipelines.storage.filesystems import Options
from pipelines.storage.new_file import file_storage, new_parquet

Severity = Literal["error", "note"]

PROBLEM_SCHEMA = pa.schema(
    [
        ("severity", pa.string()),
        ("kind", pa.string()),
        ("column", pa.string()),
        ("row_id", pa.string()),
        ("rows", pa.int64()),
        ("uri", pa.string()),
        ("message", pa.string()),
    ]
)
_MOST_EXAMPLES = 3
_BATCH = 4096


@dataclass(frozen=True, slots=True)
class Problem:
    """One row, or one reference, with a problem.

    Attributes:
        kind: a failure code, or a name that the command documents.
        column: the column at fault, under the user's name; None if none is.
        row_id: the id of the first row concerned; None if no row is known.
        rows: the number of rows concerned.
        message: the problem and the remedy.
        uri: the reference at fault, without credentials; None if none is.
        severity: a `note` makes no row fail.
    """

    kind: str
    column: str | None
    row_id: str | None
    rows: int
    message: str
    uri: str | None = None
    severity: Severity = "error"


@dataclass(slots=True)
class Kind:
    """All problems of one kind in one column.

    Attributes:
        message: the message of the first problem.
        problems: the number of problems.
        rows: the number of rows concerned; a row with two problems counts twice.
        examples: ids of the first rows; URIs where no row is known.
    """

    message: str
    problems: int = 0
    rows: int = 0
    examples: list[str] = field(default_factory=list)


class Findings:
    """Collects problems.

    Attributes:
        kinds: the problems, by severity, kind and column.
    """

    def __init__(self, writer: pq.ParquetWriter | None = None) -> None:
        """Count problems, and write each to `writer` if there is one."""
        self.kinds: dict[tuple[Severity, str, str | None], Kind] = {}
        self._writer = writer
        self._waiting: list[dict[str, Any]] = []

    @property
    def errors(self) -> int:
        """The number of problems that would make a row fail."""
        return sum(kind.problems for key, kind in self.kinds.items() if key[0] == "error")

    def add(self, problem: Problem) -> None:
        """Add one problem."""
        key = (problem.severity, problem.kind, problem.column)
        kind = self.kinds.setdefault(key, Kind(problem.message))
        kind.problems += 1
        kind.rows += problem.rows
        example = problem.row_id if problem.row_id is not None else problem.uri
        if example is not None and len(kind.examples) < _MOST_EXAMPLES:
            kind.examples.append(example)
        if self._writer is not None:
            self._waiting.append(asdict(problem))
            if len(self._waiting) == _BATCH:
                self.flush()

    def flush(self) -> None:
        """Write the problems that are not written yet."""
        if self._writer is not None and self._waiting:
            self._writer.write_batch(
                pa.RecordBatch.from_pylist(self._waiting, schema=PROBLEM_SCHEMA)
            )
            self._waiting = []


@contextmanager
def findings(url: str | None, options: Options) -> Iterator[Findings]:
    """Yield findings that become the Parquet file `url` if the block raises nothing.

    Args:
        url: a local path or any fsspec URL, whose file is replaced; None to count only.
        options: fsspec options by protocol, secrets resolved.

    Raises:
        ConfigError: the file exists and holds no problems; a slip would cost a manifest.
        StorageError: it cannot be written.
    """
    if url is None:
        yield Findings()
        return
    storage, name = file_storage(url, options)
    if storage.exists(name) and not _holds_problems(url, options):
        raise ConfigError(
            f"{storage.uri(name)}: exists and holds no problems; choose another name, or remove it"
        )
    with new_parquet(storage, name, PROBLEM_SCHEMA) as writer:
        found = Findings(writer)
        yield found
        found.flush()


def _holds_problems(url: str, options: Options) -> bool:
    """Return True for a file of problems, and for an empty one."""
    file = Place(url, options, READING).file()
    if file is None:
        return False
    try:
        with file.open() as source:
            found = pq.read_schema(source) if file.size else PROBLEM_SCHEMA
    except pa.ArrowInvalid:
        return False
    return set(PROBLEM_SCHEMA.names).issubset(found.names)
