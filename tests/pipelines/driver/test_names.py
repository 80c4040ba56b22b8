"""Runs with `output.name`, without Ray: names are unique, and stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import ConfigError, RunConfig, run
from pipelines.checks.images import lost_by_content, lost_by_size
from pipelines.driver.summary import RunSummary
from pipelines.ledger.lease import Lease
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import Records, iter_records
from pipelines.manifest.manifest import Manifest
from pipelines.record import record_schema
from pipelines.rows import ManifestRow, Outcome
from pipelines.storage.storage import Storage
from pipelines.tools.pruning.prune import find_prunable, prune
from pipelines.worker.sink import FolderSink, ImageFile
from pipelines.worker.spec import StylizerSpec
from tests.integration.scripted_worker import ScriptedWorker
from tests.pipelines.manifests import CARD, write

Columns = dict[str, Any]
TWO = {
    "id": ["1", "2"],
    "content_image": ["in/a/b.jpg", "in/c.jpg"],
    "style_image": ["s/x.png"] * 2,
}


class StoringWorker(ScriptedWorker):
    """Stores the prompt of a row as its images."""

    def __init__(self, spec: StylizerSpec) -> None:
        super().__init__(spec)
        assert spec.output is not None
        self._sink = FolderSink(Storage.at(spec.output.path), spec.run_id)
        self._extension = spec.encoding.extension

    def stylize(self, row: ManifestRow) -> Outcome:
        file = ImageFile(f"image of {row.prompt}".encode(), self._extension)
        images = self._sink.save(row, [file] * row.parameters.num_images)
        return Outcome(
            row_id=row.id,
            outputs=tuple(image.uri for image in images),
            sha256=tuple(image.sha256 for image in images),
            image_bytes=tuple(image.num_bytes for image in images),
            width=16,
            height=16,
            prompt_truncated=False,
        )


class Outputs:
    """Runs manifests into one output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = Storage.at(str(folder / "out"))

    def config(self, columns: Columns, name: str | None, **sections: Any) -> RunConfig:
        write(self.folder / "m.parquet", pa.table(columns))
        return RunConfig.model_validate(
            {
                "manifest": {
                    "path": str(self.folder / "m.parquet"),
                    **sections.pop("manifest", {}),
                },
                "output": {"path": str(self.folder / "out"), "name": name, **sections},
                "model": {"base": "tiny"},
                "stylize": {"gpus_per_actor": 0},
                "ray": {"address": "none"},
            }
        )

    def run(self, columns: Columns, name: str | None, **sections: Any) -> RunSummary:
        return run(self.config(columns, name, **sections), make_worker=StoringWorker)

    def recorded(self) -> dict[str, list[str]]:
        """Return the images of each completed row, relative to the output."""
        start = len(self.storage.uri()) + 1
        return {
            row["id"]: [uri[start:] for uri in row["outputs"]]
            for batch in iter_records(self.storage, ["id", "outputs"])
            for row in batch.to_pylist()
            if row["outputs"]
        }

    def files(self) -> list[str]:
        return sorted([*self.storage.list("pictures"), *self.storage.list("images")])


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def test_images_get_their_names_and_a_second_run_has_nothing_to_do(outputs: Outputs) -> None:
    columns = {**TWO, "album": ["a", None], "taken": pa.array([19000, 19100], pa.date32())}
    name = "{album:path}/{content_stem}__{style_stem}-{taken:%Y}"
    assert outputs.run(columns, name).completed == 2
    assert outputs.recorded() == {
        "1": ["pictures/a/b__x-2022.png"],
        "2": ["pictures/c__x-2022.png"],
    }
    assert outputs.files() == ["pictures/a/b__x-2022.png", "pictures/c__x-2022.png"]
    assert outputs.run(columns, name).skipped == 2
    show: Callable[[str, int], None] = lambda _step, _done: None  # noqa: E731
    for find in (lost_by_size, lost_by_content):
        assert list(find(Records(outputs.storage), outputs.storage, show)) == []
    outputs.storage.delete("pictures/c__x-2022.png")
    for find in (lost_by_size, lost_by_content):
        assert [one.row_id for one in find(Records(outputs.storage), outputs.storage, show)] == [
            "2"
        ]


def test_several_images_of_a_row_are_numbered_or_number_themselves(outputs: Outputs) -> None:
    columns = {"id": ["r"], "prompt": ["p"], "num_images": [2], "seed": [7]}
    outputs.run(columns, "{prompt}", path=str(outputs.folder / "one"))
    outputs.run(columns, "{prompt}-{seed}")
    assert outputs.recorded() == {"r": ["pictures/p-7.png", "pictures/p-8.png"]}
    one = Storage.at(str(outputs.folder / "one"))
    assert one.list("pictures") == ["pictures/p_0.png", "pictures/p_1.png"]


def test_a_shared_name_is_refused_with_both_ids_before_a_row_is_drawn(outputs: Outputs) -> None:
    columns = {"id": ["first", "other", "second"], "prompt": ["Cat", "dog", "cat"]}
    with pytest.raises(ConfigError, match=r"'first' and 'second' both get 'pictures/cat\.png'"):
        outputs.run(columns, "{prompt}")
    assert outputs.files() == []
    assert outputs.recorded() == {}


@pytest.mark.parametrize(
    ("columns", "name", "more"),
    [
        (TWO, "{content_stem}", {}),
        ({**TWO, "style_image": ["s/y.png"] * 2}, "{content_stem}__{style_stem}", {}),
        (TWO, None, {}),
        (TWO, "{content_stem}__{style_stem}", {"format": "webp"}),
    ],
)
def test_a_recorded_image_cannot_get_another_name(
    outputs: Outputs, columns: Columns, name: str | None, more: dict[str, Any]
) -> None:
    outputs.run(TWO, "{content_stem}__{style_stem}")
    before = outputs.files()
    with pytest.raises(ConfigError, match=r"'[12]' is recorded with the image 'pictures/[bc]__x"):
        outputs.run(columns, name, **more)
    assert outputs.files() == before


def test_an_output_named_by_ids_cannot_get_names(outputs: Outputs) -> None:
    outputs.run(TWO, None)
    with pytest.raises(ConfigError, match=r"'[12]' is recorded with the image 'images/"):
        outputs.run(TWO, "{id}")


def test_a_part_of_a_manifest_must_not_overwrite_images_of_other_rows(outputs: Outputs) -> None:
    outputs.run({"id": ["1"], "prompt": ["cat"]}, "{prompt}")
    with pytest.raises(
        ConfigError, match="recorded image of row '1', which this run does not read"
    ):
        outputs.run({"id": ["2"], "prompt": ["cat"]}, "{prompt}", manifest={"partial": True})


def test_pruning_keeps_an_image_that_another_row_has_by_now(outputs: Outputs) -> None:
    outputs.run({"id": ["old", "gone"], "prompt": ["cat", "dog"]}, "{prompt}")
    columns = {"id": ["new"], "prompt": ["cat"]}
    outputs.run(columns, "{prompt}")
    ledger = Ledger.view(outputs.storage, record_schema(pa.schema([])))
    manifest = Manifest.open(outputs.config(columns, "{prompt}"), CARD)
    with Lease(outputs.storage, "prune") as lease:
        found = find_prunable(outputs.storage, ledger, manifest)
        assert prune(outputs.storage, ledger, found, lease).records == 2
    assert outputs.recorded() == {"new": ["pictures/cat.png"]}
    assert outputs.files() == ["pictures/cat.png"]


def test_a_value_that_does_not_fit_rejects_its_row_alone(outputs: Outputs) -> None:
    summary = outputs.run({"id": ["1", "2"], "prompt": ["cat", "../"]}, "{prompt:path}")
    assert (summary.completed, summary.failed) == (1, 1)
    (failure,) = summary.failures
    assert (failure.row_id, failure.code) == ("2", "invalid_request")
    assert "'{prompt:path}' gives an empty name ({prompt}: '../')" in failure.message


def test_a_rejected_row_is_drawn_once_its_value_or_the_template_fits(outputs: Outputs) -> None:
    columns: Columns = {"id": ["1", "2", "3"], "prompt": ["p"] * 3, "note": [None, None, "c"]}
    columns["album"] = ["a", None, None]
    first = outputs.run(columns, "{album}")
    assert (first.completed, first.failed) == (1, 2)
    assert outputs.run(columns, "{album}").skipped == 3
    columns["album"] = ["a", "b", None]
    assert outputs.run(columns, "{album}").completed == 1
    assert outputs.run(columns, "{album}{note}").completed == 1
    assert list(outputs.recorded().values()) == [[f"pictures/{name}.png"] for name in "abc"]


def test_a_completed_row_stays_completed_if_its_name_no_longer_fits(outputs: Outputs) -> None:
    columns: Columns = {"id": ["1", "2"], "prompt": ["p"] * 2, "album": ["a", "b"]}
    outputs.run(columns, "{album}")
    columns["album"] = ["a", None]
    found = outputs.run(columns, "{album}")
    assert (found.completed, found.failed, found.skipped) == (0, 0, 2)
    assert set(outputs.recorded()) == {"1", "2"}


def test_an_unknown_field_is_refused_with_the_fields_that_there_are(outputs: Outputs) -> None:
    with pytest.raises(
        ConfigError, match=r"\{artist\}, which no row has; there are id, .*: album$"
    ):
        outputs.run({**TWO, "album": ["a", "b"]}, "{artist}")
    with pytest.raises(ConfigError, match=r"did you mean album\?"):
        outputs.run({**TWO, "album": ["a", "b"]}, "{albums}")


def test_an_own_column_comes_before_a_field_of_its_name(outputs: Outputs) -> None:
    columns = {"id": ["r", "s"], "prompt": ["p"] * 2, "num_images": [2] * 2}
    own = {"index": ["one", "two"], "date": ["today"] * 2}
    outputs.run({**columns, **own}, "{date}-{index}")
    assert outputs.recorded() == {
        "r": ["pictures/today-one_0.png", "pictures/today-one_1.png"],
        "s": ["pictures/today-two_0.png", "pictures/today-two_1.png"],
    }
    assert outputs.run({**columns, **own}, "{date}-{index}").skipped == 2


def test_a_date_that_is_text_fails_its_row_with_the_column(outputs: Outputs) -> None:
    columns = {"id": ["1", "2"], "prompt": ["cat"] * 2, "taken": ["2026-03-01", None]}
    summary = outputs.run(columns, "{taken:%Y}-{id}")
    (failure,) = summary.failures
    assert (summary.completed, failure.row_id, failure.code) == (1, "1", "invalid_request")
    assert "output.name: {taken:%Y} does not fit a value of type str" in failure.message
    assert failure.message.endswith("({id}: '1', {taken}: '2026-03-01')")


def test_the_date_is_that_of_the_first_run(outputs: Outputs) -> None:
    outputs.storage.write("run/20250102T030405-abcdef-1.json", b"{}")
    outputs.run({"id": ["1"], "prompt": ["cat"]}, "{date}_{id}")
    assert outputs.recorded() == {"1": ["pictures/2025-01-02_1.png"]}
