"""Access to the outputs of runs without a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs import terminal
from pipelines.errors import StorageError
from pipelines.ledger.lease import LEASE_PATH
from pipelines.ledger.left_out import ManifestLook
from pipelines.storage.storage import Storage


@contextmanager
def hint_at_config(config_path: Path | None) -> Iterator[None]:
    """Add a hint at --config to errors about a URL, unless that option was given.

    A run can have storage options that the command lacks.
    """
    try:
        yield
    except StorageError as error:
        if config_path is not None or "://" not in error.uri:
            raise
        reason = f"{error.reason}; --config CONFIG uses the storage options of that file"
        raise StorageError(error.uri, reason, error.fault) from error


def newest_run_file(storage: Storage) -> str | None:
    """Return the path of the newest run file of an output, or None. Run ids sort by time.

    Raises:
        StorageError: the output cannot be read.
    """
    files = [path for path in storage.list("run") if path.endswith(".json") and path != LEASE_PATH]
    return max(files, default=None)


def replay_text(replay: Mapping[str, Any]) -> str:
    """Return the verdicts on rows that were drawn again at the end of a run, on one line."""
    parts = [f"{replay['equal']:,} byte-equal"]
    if replay["within_tolerance"]:
        parts.append(f"{replay['within_tolerance']:,} within the preset's tolerance")
    if replay["different"]:
        ids = ", ".join(each["id"] for each in replay["examples"][:3])
        parts.append(f"{replay['different']:,} different: {ids}")
    return terminal.one_line(", ".join(parts), 300)


def left_out_text(records: int, look: ManifestLook | None) -> str:
    """Return how many records do not count, and since which pass over the manifest."""
    many = "records of rows that are" if records != 1 else "record of a row that is"
    seen = "" if look is None else f" ({look.manifest}, read at {look.read_at})"
    return terminal.one_line(f"{records:,} {many} no longer in the manifest{seen}")
