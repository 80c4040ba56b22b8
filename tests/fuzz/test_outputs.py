"""Any file in an output folder, or any id, causes one kind of error and no access outside it."""

from __future__ import annotations

import re
import secrets

import pyarrow as pa
from hypothesis import strategies as st

from jobs.terminal import lines, one_line
from pipelines.errors import LedgerError
from pipelines.image_names import image_path
from pipelines.ledger.lease import LEASE_PATH, Lease
from pipelines.ledger.ledger import Ledger, iter_records
from pipelines.record import record_schema
from pipelines.storage.storage import Storage
from tests.fuzz.fuzzed import fuzzed
from tests.fuzz.tables import ODD_TEXT, damaged
from tests.pipelines.records import SCHEMA, completed, failed

_SAFE_PATH = re.compile(r"images/[0-9a-f]{2}/[A-Za-z0-9][A-Za-z0-9._-]{0,130}\.png")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _part() -> bytes:
    """Return a part as the ledger writes it, with checksums."""
    storage = Storage.at(f"memory://{secrets.token_hex(8)}/out")
    Ledger.open(storage, SCHEMA).append([completed("a"), failed("b"), completed("c")])
    return storage.read(storage.list("records")[0])


_PART = _part()


@fuzzed(damaged(_PART))
def test_any_damage_to_a_part(data: bytes) -> None:
    storage = Storage.at(f"memory://{secrets.token_hex(8)}/out")
    storage.write(f"records/part-{'0' * 32}.parquet", data)
    try:
        Ledger.open(storage, record_schema(pa.schema([])))
        ids = [row["id"] for batch in iter_records(storage) for row in batch.to_pylist()]
    except LedgerError as error:
        assert "records" in error.uri
        return
    assert len(set(ids)) == len(ids)


@fuzzed(st.binary(max_size=60) | ODD_TEXT.map(lambda text: text.encode(errors="replace")))
def test_any_lease(data: bytes) -> None:
    storage = Storage.at(f"memory://{secrets.token_hex(8)}/out")
    storage.write(LEASE_PATH, data)
    with Lease(storage, "run", heartbeat_s=60, stale_s=0.01) as lease:
        assert not lease.lost


@fuzzed(ODD_TEXT | st.text(max_size=300), st.integers(0, 7))
def test_any_id_names_a_file_inside_the_output(row_id: str, index: int) -> None:
    path = image_path(row_id, index, 8, "png")
    assert _SAFE_PATH.fullmatch(path), path
    assert ".." not in path.split("/")


@fuzzed(ODD_TEXT | st.text(max_size=100))
def test_no_text_steers_a_terminal(text: str) -> None:
    assert _CONTROL.search(one_line(text)) is None
    assert _CONTROL.search(lines(text).replace("\n", "")) is None
