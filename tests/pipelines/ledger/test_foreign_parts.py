"""A file among the parts that holds something else is a `LedgerError` that names it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from pipelines.errors import LedgerError
from pipelines.ledger.follow import LedgerFollower
from pipelines.ledger.ledger import Ledger, count_records, iter_records
from pipelines.storage.storage import Storage
from tests.pipelines.records import SCHEMA, completed, failed

NAME = f"part-{'0' * 32}.parquet"
RECORDS = pa.Table.from_pylist([completed("a"), failed("b")], schema=SCHEMA)
TWO = ["x", "y"]
NOT_TEXT = pa.array([b"\xff", b"b"]).view(pa.string())
ERROR = SCHEMA.field("error").type


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def replaced(name: str, values: Any) -> bytes:
    """Write records with another column of that name."""
    column = values if isinstance(values, pa.Array) else pa.array(values)
    return parquet(RECORDS.set_column(RECORDS.schema.get_field_index(name), name, column))


def error_of(**columns: pa.Array) -> bytes:
    found = [columns.get(field.name, pa.nulls(2, field.type)) for field in ERROR]
    return replaced("error", pa.StructArray.from_arrays(found, names=[f.name for f in ERROR]))


FILES: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello",
    "the magic bytes alone": b"PAR1PAR1",
    "a wrong length": b"PAR1" + b"\xff" * 20 + b"PAR1",
    "no columns": parquet(pa.table({})),
    "another table": parquet(pa.table({"id": ["a"], "caption": ["c"]})),
    "numbers as ids": replaced("id", [1, 2]),
    "structs as ids": replaced("id", [{"a": 1}, {"a": 2}]),
    "no id": replaced("id", pa.array([None, "b"])),
    "no ids": replaced("id", pa.nulls(2)),
    "ids that are not UTF-8": replaced("id", NOT_TEXT),
    "numbers as status": replaced("status", [1, 2]),
    "no status": replaced("status", pa.nulls(2, pa.string())),
    "text as error": replaced("error", TWO),
    "no error column": replaced("error", pa.nulls(2)),
    "errors without codes": replaced("error", [{"message": "x"}, None]),
    "numbers as codes": error_of(code=pa.array([1, 2])),
    "codes that are not UTF-8": error_of(code=NOT_TEXT),
    "text as retryable": error_of(retryable=pa.array(TWO)),
    "numbers as fingerprints": replaced("fingerprint", [1, 2]),
    "no fingerprint": replaced("fingerprint", pa.nulls(2, pa.string())),
    "text as times": replaced("created_at", TWO),
    "times without a zone": replaced("created_at", pa.array([1, 2], pa.timestamp("us"))),
    "no times": replaced("created_at", pa.nulls(2, SCHEMA.field("created_at").type)),
    "times that Python does not have": replaced(
        "created_at", pa.array([2**62, 0], SCHEMA.field("created_at").type)
    ),
    "text as digests": replaced("source_digest", TWO),
    "text as outputs": replaced("outputs", TWO),
    "text as timings": replaced("timings", TWO),
    "a column twice": parquet(pa.table([*RECORDS, RECORDS["id"]], [*RECORDS.schema.names, "id"])),
    "an own column twice": parquet(
        pa.table([*RECORDS, RECORDS["note"]], [*RECORDS.schema.names, "note"])
    ),
}
READERS: dict[str, Callable[[Storage], object]] = {
    "open": lambda output: Ledger.open(output, SCHEMA),
    "view": lambda output: Ledger.view(output, SCHEMA),
    "count": count_records,
    "iterate": lambda output: list(iter_records(output)),
    "follow": lambda output: LedgerFollower(output).poll(),
}
# Who counts does not read fingerprints, and of times only their type.
UNREAD = {
    ("follow", "no fingerprint"),
    *(
        ("count", name)
        for name in ("no fingerprint", "no times", "times that Python does not have")
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_every_reader_names_the_file(tmp_path: Path, name: str) -> None:
    output = Storage.at(str(tmp_path))
    Ledger.open(output, SCHEMA).append([completed("ok"), failed("not")])
    output.write(f"records/{NAME}", FILES[name])
    for reader in (READERS[kind] for kind in READERS if (kind, name) not in UNREAD):
        with pytest.raises(LedgerError, match=r"move it out of records/") as caught:
            reader(output)
        assert caught.value.uri == output.uri(f"records/{NAME}")


def test_more_failure_codes_than_any_version_has(storage: Storage) -> None:
    rows = [failed(f"r{number}", code=f"c{number}") for number in range(127)]
    storage.write(f"records/{NAME}", parquet(pa.Table.from_pylist(rows, schema=SCHEMA)))
    for reader in READERS.values():
        with pytest.raises(LedgerError, match="more than 126 failure codes"):
            reader(storage)


def lists(name: str, one: list[Any] | None) -> bytes:
    """Write a completed and a failed record with another list in the first."""
    return replaced(name, pa.array([one, None], SCHEMA.field(name).type))


LISTS: dict[str, bytes] = {
    "no outputs": lists("outputs", None),
    "outputs without a URI": lists("outputs", [None]),
    "two outputs with one hash": lists("outputs", TWO),
    "no hashes": lists("sha256", None),
    "a hash that is null": lists("sha256", [None]),
    "no hashes at all": replaced("sha256", pa.nulls(2)),
    "two hashes of one image": lists("sha256", TWO),
    "two sizes of one image": lists("image_bytes", [1, 2]),
    "no value per image": lists("has_nsfw_contents", []),
    "a style that is null": lists("style_images", [None]),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_that_no_record_has(tmp_path: Path, name: str) -> None:
    storage = Storage.at(str(tmp_path))
    storage.write(f"records/{NAME}", LISTS[name])
    with pytest.raises(LedgerError, match=r"move it out of records/") as caught:
        list(iter_records(storage))
    assert caught.value.uri == storage.uri(f"records/{NAME}")


COMMANDS = [
    ["run", "CONFIG"],
    ["run", "CONFIG", "--check-images"],
    ["plan", "CONFIG"],
    ["prune", "OUTPUT", "CONFIG"],
    ["manifest", "again.parquet", "--failed", "CONFIG"],
    ["status", "OUTPUT"],
    ["status", "OUTPUT", "--watch"],
    ["report", "OUTPUT"],
    ["pack", "OUTPUT", "--layout", "parquet"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", ["nothing", "numbers as ids"])
def test_commands_name_the_file(tmp_path: Path, name: str, words: list[str]) -> None:
    output, config = tmp_path / "out", tmp_path / "run.yaml"
    pq.write_table(pa.table({"id": ["a"], "prompt": ["p"]}), tmp_path / "m.parquet")
    config.write_text(
        f"manifest: {{path: {tmp_path}/m.parquet}}\noutput: {{path: {output}}}\n"
        "model: {base: tiny}\nstylize: {gpus_per_actor: 0}\n"
    )
    (output / "records").mkdir(parents=True)
    (output / "records" / NAME).write_bytes(FILES[name])
    places = {"CONFIG": str(config), "OUTPUT": str(output)}
    result = CliRunner().invoke(app, [places.get(word, word) for word in words])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (1, 2)
    assert f"{output}/records/{NAME}: not a" in result.output
