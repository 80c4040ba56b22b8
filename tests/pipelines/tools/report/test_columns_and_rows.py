"""Rows by columns are the rows one by one: ordinary, odd and failed ones, mixed in a batch."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from pipelines.failures import Failure
from pipelines.image_values import record_column
from pipelines.ledger.licences import COLUMNS, LicenceTally
from pipelines.record import REFERENCE_RIGHTS, record_schema
from pipelines.rows import Outcome, Timings
from pipelines.storage.storage import Storage
from pipelines.tools.report import part_file, row_files, sorted_batches
from pipelines.tools.report.facets import Facets
from pipelines.tools.report.own_columns import FilterColumns, number_names, score_names
from pipelines.tools.report.picture_table import PictureTable
from pipelines.tools.report.pictures import Gallery, Places, picture_key
from pipelines.tools.report.plain_columns import TEXT, PlainColumns
from pipelines.tools.report.row_files import RowFiles
from pipelines.tools.report.row_table import RowTable
from pipelines.tools.report.sorted_batches import IdOrder
from pipelines.tools.report.values import visible
from tests.fuzz.arrow_types import TYPES, column
from tests.fuzz.fuzzed import fuzzed
from tests.pipelines.tools.report.by_rows import (
    as_json,
    expected_numbers,
    expected_rows,
    expected_texts,
)
from tests.pipelines.tools.report.outputs import cell, page_row, record

ROWS = 12
ODD = ["\x1b[31m", "\u202e", "é", 'a "quote"', "back\\slash", "two\nlines\t", "\x7f", "\x85", ""]
TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from([*ODD, "x" * 4000, "é" * 4001, "plain", "a cat"])
)
URIS = st.sampled_from(
    [
        *(f"/out/images/{n:02x}/row-{n}.png" for n in range(4)),
        *("/out/images/ab/a b.png", "/out/images/ab/é.png", "/elsewhere/images/00/row.png"),
        *("/out/pictures/a/b.png", "/out/pictures/pictures/b.png", "/out/pictures/images/aa/c.png"),
        "https://user:word@host/images/aa/b.png?X-Amz-Signature=1",
        *("no picture", "images/aa/b.png", "/out/images/ab/" + "n" * 1200 + ".png"),
    ]
)
REFERENCES = st.sampled_from(
    [
        "/in/cat.png",
        "https://h/dog.png?token=x",
        "sha256:ab",
        "javascript:alert(1)",
        "/in/é\x1b.png",
    ]
)
MS = st.one_of(
    st.none(), st.integers(0, 20_000).map(lambda n: n / 20), st.floats(0, 1e6), st.just(np.nan)
)


@st.composite
def records(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Return the record of a row; its id ends in its number."""
    row_id = draw(TEXTS) + str(number)
    count = draw(st.sampled_from([1, 1, 1, 1, 2, 3]))
    hashes = draw(st.sampled_from([("a" * 64, "b" * 64, "c" * 64)[:count], ()]))
    outcome = Outcome(row_id=row_id, failure=Failure("uri_timeout", draw(TEXTS)))
    if draw(st.sampled_from([True, True, True, False])):
        outcome = Outcome(
            row_id=row_id,
            outputs=tuple(draw(URIS) for _ in range(count)),
            sha256=hashes,
            width=draw(st.sampled_from([64, 96])),
            height=64,
            worker=draw(st.sampled_from(["w1", "", "w\x1b"])),
            device="cpu",
        )
    styles = draw(st.lists(REFERENCES, max_size=3))
    made: dict[str, Any] = record(
        row_id,
        outcome,
        prompt=draw(TEXTS),
        content=draw(st.one_of(st.none(), REFERENCES)),
        styles=styles,
        weights=draw(st.sampled_from([None, (0.5,) * len(styles) or None])),
        at=number / 7,
    )
    del made["score"], made["note"]
    made["timings"] = {name: draw(MS) for name in Timings.__dataclass_fields__}
    made["has_nsfw_contents"] = draw(st.sampled_from([None, [None], [False], [False, True]]))
    scored = {"palette": draw(st.sampled_from([0.5, 0.1, None, np.nan])), "edges": 1e-7}
    made["scores"] = draw(st.sampled_from([None, [], [None], [scored], [scored, {"palette": 1.0}]]))
    rights = [None, {"licence": "CC0", "wish": None}, {"licence": None, "wish": "noai"}]
    references = len(made["style_images"]) + (made["content_image"] is not None)
    stated = [draw(st.sampled_from(rights)) for _ in range(references)]
    made[REFERENCE_RIGHTS] = draw(st.sampled_from([None, stated, stated[:1]]))
    return made


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Return records with columns of the user's of any type."""
    struct = pa.struct([("palette", pa.float64()), ("edges", pa.float32())])
    schema = record_schema(pa.schema([record_column(pa.field("scores", struct))]))
    rows = [draw(records(number)) for number in range(ROWS)]
    batch = pa.RecordBatch.from_pylist(rows, schema)
    plain = [pa.string(), pa.int64(), pa.float64(), pa.float32(), pa.bool_(), pa.large_string()]
    kinds = draw(st.lists(st.one_of(st.sampled_from(plain), TYPES), max_size=5))
    for at, kind in enumerate(kinds):
        batch = batch.append_column(f"c\x1b{at}", draw(column(kind, ROWS)))
    texts = [draw(st.one_of(st.none(), TEXTS)) for _ in range(ROWS)]
    return batch.append_column("note", pa.array(texts))


def files_of(folder: Path, batch: pa.RecordBatch, gallery: Gallery) -> dict[str, Any]:
    """Return the contents of the data files of the rows."""
    table = RowTable(folder)
    scores, numbers = score_names(batch.schema), number_names(batch.schema)
    plain = PlainColumns(batch.schema, scores, numbers)
    table.expect(IdOrder.of([batch["id"]], ROWS))
    for start in range(0, ROWS, 5):
        table.add(plain.convert(batch.slice(start, 5)))
    table.sort()
    facets = Facets(table, 2, FilterColumns(scores, numbers, {}, ["note"]), compared=False)
    made = [*RowFiles(gallery, None, ["note"]).cut(table.parts(), facets, lambda _: None)]
    return {file.name: json.loads(b"".join(file.content())) for file in made}


@contextmanager
def small_files() -> Iterator[None]:
    """Let several parts and files be needed for a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_file, "PART_ROWS", 8)
        patch.setattr(sorted_batches, "_RANGE_ROWS", 4)
        patch.setattr(sorted_batches, "_SAMPLES", 2)
        patch.setattr(sorted_batches, "_CUT_BYTES", 1)
        patch.setattr(row_files, "ROWS_PER_FILE", 2)
        patch.setattr(row_files, "IDS_PER_FILE", 4)
        yield


def row_in(files: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a row from the data files."""
    key = cell(files[f"ids-{number // 4}"]["of"], number % 4)
    return page_row(files[f"rows-{number // 2}"], files[f"texts-{number // 2}"], key, number % 2)


@fuzzed(batches(), st.booleans(), few=20)
def test_columns_show_what_rows_show(batch: pa.RecordBatch, some_thumbnails: bool) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = PictureTable(folder)
        if some_thumbnails:
            pictures.note_picture(picture_key("a" * 64), None)
            pictures.note_picture(picture_key("/in/cat.png"), "lost")
        places = Places(Storage.at(f"{folder}/out"), Storage.at(f"{folder}/out/report"))
        gallery = Gallery(places, pictures)
        with small_files():
            files = files_of(folder, batch, gallery)
            order = np.argsort(np.array(batch["id"].to_pylist(), object), kind="stable")
            expected = [expected_rows(batch, gallery)[n] for n in order]
            assert [as_json(row) for row in expected] == [row_in(files, n) for n in range(ROWS)]
        pictures.close()


@fuzzed(batches(), few=15)
def test_numbers_and_texts_are_those_of_rows(batch: pa.RecordBatch) -> None:
    scores, numbers = score_names(batch.schema), number_names(batch.schema)
    plain = PlainColumns(batch.schema, scores, numbers).convert(batch)
    for name, values in expected_numbers(batch).items():
        assert plain[name].to_pylist() == values, name
    own = {name for name in batch.schema.names if name.startswith("c\x1b")} - set(numbers)
    for name, texts in expected_texts(batch, [*own, "note"]).items():
        assert plain[TEXT + visible(name)].to_pylist() == texts, name


@fuzzed(batches(), few=15)
def test_references_have_the_licences_and_wishes_that_records_state(batch: pa.RecordBatch) -> None:
    tally = LicenceTally()
    columns = batch.select(list(COLUMNS))
    tally.add(columns)
    licences: dict[str, set[str]] = {}
    wished = set()
    for row in columns.to_pylist():
        uris = [*filter(None, [row["content_image"]]), *row["style_images"]]
        for uri, stated in zip(uris, row[REFERENCE_RIGHTS] or [None] * len(uris), strict=False):
            facts = stated or {}
            licences.setdefault(uri, set()).update(filter(None, [facts.get("licence")]))
            wished.update([uri] if facts.get("wish") else [])
    expected = Counter(name for names in licences.values() for name in names or {"unknown"})
    assert tally.counts() == expected
    assert (tally.references, tally.wishes) == (len(licences), len(wished))
