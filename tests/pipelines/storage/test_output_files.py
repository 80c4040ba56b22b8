"""An output inside a folder of inputs is left out, and the user is told."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ComposeError, ManifestError
from pipelines.storage.storage import Storage
from pipelines.tools.compose.images import find_images
from tests.pipelines.manifests import entries
from tests.pipelines.tools.report.outputs import commit, generated, reported


@pytest.fixture(params=["disk", "memory"])
def inputs(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder with a table, a picture, and an output below them."""
    folder = str(tmp_path) if request.param == "disk" else f"memory://{secrets.token_hex(8)}"
    output = Storage.at(f"{folder}/deep/out")
    commit(output, generated(output, "a"), generated(output, "b"))
    output.write("run/20260101T000000-0a1b2c-77.json", b"{}")
    reported(output, Storage.at(f"{folder}/deep/out/report"), thumbnails=2)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["mine"], "prompt": ["p"]}), sink)
    inside = Storage.at(folder)
    inside.write("m.parquet", sink.getvalue().to_pybytes())
    inside.write("cat.png", b"png")
    return folder


@pytest.mark.parametrize("search", ["", "/**/*.parquet"])
def test_records_are_not_rows(inputs: str, search: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert [entry.row.id for entry in entries(inputs + search)] == ["mine"]
    assert "deep/out" in caplog.text


@pytest.mark.parametrize("search", ["", "/**/*.png"])
def test_results_and_thumbnails_are_not_contents(inputs: str, search: str) -> None:
    found = find_images([inputs + search], {})
    assert [uri.rpartition("/")[2] for uri in found.uris] == ["cat.png"]
    (folder,) = found.outputs
    assert folder.endswith("/deep/out")
    assert found.outputs.total() >= 2


def test_a_report_beside_the_pictures_is_left_out(tmp_path: Path) -> None:
    output = Storage.at(str(tmp_path / "out"))
    commit(output, generated(output, "a"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"png")
    reported(output, Storage.at(str(tmp_path / "photos" / "report")), thumbnails=1)
    found = find_images([str(tmp_path / "photos")], {})
    assert found.uris == [str(tmp_path / "photos" / "cat.png")]


def test_the_images_of_an_output_can_be_contents(inputs: str) -> None:
    found = find_images([f"{inputs}/deep/out/images"], {})
    assert len(found.uris) == 2
    assert not found.outputs


def test_a_folder_that_is_an_output_has_no_inputs(inputs: str) -> None:
    with pytest.raises(ComposeError, match="files of a run's output do not count"):
        find_images([f"{inputs}/deep/out"], {})
    with pytest.raises(ManifestError, match="nothing to read"):
        entries(f"{inputs}/deep/out")


def test_other_files_of_these_names_are_inputs(tmp_path: Path) -> None:
    for name in ("images/3f/cat.png", "data/train-00000-of-00001.png", "run/dog.png"):
        Storage.at(str(tmp_path)).write(name, b"png")
    assert len(find_images([str(tmp_path)], {}).uris) == 3
