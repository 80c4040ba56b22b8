"""`run/records.sha256`: the hash of each file of records, as `sha256sum` writes it.

A file of records has checksums of its pages, but not of its schema, and whoever writes it anew
writes new ones. The list tells such a file from the one that a run has left. It is written at the
end of a run, and by the other commands that write records; a run that is killed leaves files that
it does not have.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial

from pipelines.errors import StorageError
from pipelines.in_order import in_order
from pipelines.ledger.parts import Part, list_parts
from pipelines.storage.storage import Storage

DIGESTS_PATH = "run/records.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")
_READERS = 4


def save_part_digests(storage: Storage) -> None:
    """Bring the list up to date; reads only the files that it does not have.

    Raises:
        LedgerError: `records/` holds a foreign file.
        StorageError: a file cannot be read, or the list cannot be written.
    """
    known = read_part_digests(storage)
    parts = list_parts(storage)
    new = [part for part in parts if part.path not in known]
    found = dict(zip([part.path for part in new], _digests(storage, new), strict=True))
    listed = {part.path: known.get(part.path) or found[part.path] for part in parts}
    if listed == known:
        return
    text = "".join(f"{digest}  {path}\n" for path, digest in listed.items())
    storage.write(DIGESTS_PATH, text.encode())


def read_part_digests(storage: Storage) -> dict[str, str]:
    """Return the listed hashes by path, in hex; empty without a list.

    Raises:
        StorageError: the list cannot be read.
    """
    try:
        text = storage.read(DIGESTS_PATH).decode(errors="replace")
    except StorageError as error:
        if error.fault == "not_found":
            return {}
        raise
    lines = (_LINE.fullmatch(line) for line in text.splitlines())
    return {found[2]: found[1] for found in lines if found is not None}


def part_digest(storage: Storage, part: Part) -> str:
    """Return the SHA-256 of a file of records, in hex.

    Raises:
        StorageError: it cannot be read.
    """
    return hashlib.sha256(storage.read(part.path)).hexdigest()


def _digests(storage: Storage, parts: list[Part]) -> list[str]:
    return [*in_order(partial(part_digest, storage), parts, _READERS)]
