"""Images that are gone or damaged are found by their size, or else by their content."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipelines.checks.images import LostImage, lost_by_content, lost_by_size
from pipelines.image_names import path_in_output
from pipelines.ledger.records import Records
from pipelines.record import IMAGE_BYTES
from pipelines.storage.storage import Storage
from tests.pipelines.packing.outputs import generated
from tests.pipelines.records import drop_column
from tests.pipelines.tools.report.outputs import commit, failed
from tests.s3_server import S3Server

FINDERS: dict[str, Callable[..., Iterator[LostImage]]] = {
    "sizes": lost_by_size,
    "full": lost_by_content,
}


@pytest.fixture(params=["disk", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "disk":
        yield Storage.at(str(tmp_path / "out"))
    elif request.param == "memory":
        root = f"memory://{secrets.token_hex(8)}"
        yield Storage.at(root)
        MemoryFileSystem().rm(root, recursive=True)
    else:
        server: S3Server = request.getfixturevalue("s3_server")
        yield Storage.at(f"s3://{server.new_bucket()}/a b", server.options)


def path_of(record: dict[str, Any], index: int = 0) -> str:
    path = path_in_output(record["outputs"][index])
    assert path is not None
    return path


def found(output: Storage, mode: str) -> dict[str, str]:
    steps: list[tuple[str, int]] = []
    lost = list(FINDERS[mode](Records(output), output, lambda *step: steps.append(step)))
    assert steps
    return {f"{image.row_id} {path_in_output(image.uri)}": image.fault for image in lost}


def harmed(output: Storage) -> tuple[dict[str, str], dict[str, str]]:
    """Harm images of an output in every way; return the faults by size, and by content."""
    names = ["gone", "empty", "cut", "longer", "same size", "a b/ä?#.x", "whole", "x" * 200]
    rows = {name: generated(output, name, seed=n) for n, name in enumerate(names)}
    rows["two"] = generated(output, "two", images=3, seed=50)
    commit(output, *rows.values(), failed("failed"))
    data = {name: output.read(path_of(row)) for name, row in rows.items()}
    output.delete(path_of(rows["gone"]))
    output.delete(path_of(rows["a b/ä?#.x"]))
    output.delete(path_of(rows["two"], 1))
    output.write(path_of(rows["empty"]), b"")
    output.write(path_of(rows["cut"]), data["cut"][:-1])
    output.write(path_of(rows["longer"]), data["longer"] + b" ")
    output.write(path_of(rows["same size"]), bytes(len(data["same size"])))
    expected = {
        "gone": ("is missing", "is missing"),
        "empty": ("is empty", "is empty"),
        "cut": ("has another size", "is not the recorded file"),
        "longer": ("has another size", "is not the recorded file"),
        "a b/ä?#.x": ("is missing", "is missing"),
    }
    pairs = {f"{name} {path_of(rows[name])}": faults for name, faults in expected.items()}
    pairs[f"two {path_of(rows['two'], 1)}"] = ("is missing", "is missing")
    by_content = {name: fault for name, (_, fault) in pairs.items()}
    by_content[f"same size {path_of(rows['same size'])}"] = "is not the recorded file"
    return {name: fault for name, (fault, _) in pairs.items()}, by_content


def test_every_lost_image_is_found_and_no_other(output: Storage) -> None:
    by_size, by_content = harmed(output)
    assert found(output, "sizes") == by_size
    assert found(output, "full") == by_content


@pytest.mark.parametrize("mode", FINDERS)
def test_an_output_without_its_folder_of_images_lacks_them_all(tmp_path: Path, mode: str) -> None:
    output = Storage.at(str(tmp_path / "out"))
    rows = [generated(output, f"r{n}", seed=n) for n in range(5)]
    commit(output, *rows)
    (tmp_path / "out/images").rename(tmp_path / "elsewhere")
    assert list(found(output, mode).values()) == ["is missing"] * 5


@pytest.mark.parametrize("mode", FINDERS)
def test_a_folder_in_the_place_of_an_image_is_no_image(tmp_path: Path, mode: str) -> None:
    output = Storage.at(str(tmp_path / "out"))
    row = generated(output, "r0")
    commit(output, row, generated(output, "r1"))
    place = tmp_path / "out" / path_of(row)
    place.unlink()
    (place / "inside").mkdir(parents=True)
    assert list(found(output, mode).values()) == ["is missing"]
    output.delete(path_of(row))
    assert (place / "inside").is_dir()


def test_records_without_sizes_still_show_what_is_missing_or_empty(tmp_path: Path) -> None:
    output = Storage.at(str(tmp_path / "out"))
    by_size, by_content = harmed(output)
    drop_column(output, IMAGE_BYTES)
    known = {name: fault for name, fault in by_size.items() if fault != "has another size"}
    assert found(output, "sizes") == known
    assert found(output, "full") == by_content


def test_sizes_need_one_listing_per_folder_and_read_no_image(tmp_path: Path) -> None:
    output = Storage.at(str(tmp_path / "out"))
    commit(output, *(generated(output, f"r{n}", seed=n) for n in range(40)))
    listed: list[str] = []
    read: list[str] = []

    class Watched(Storage):
        def sizes(self, prefix: str) -> dict[str, int]:
            listed.append(prefix)
            return super().sizes(prefix)

        def read(self, path: str) -> bytes:
            read.append(path)
            return super().read(path)

    output = Watched(str(tmp_path / "out"), {})
    assert found(output, "sizes") == {}
    folders = sorted(f"images/{each.name}" for each in (tmp_path / "out/images").iterdir())
    assert sorted(listed) == sorted([*folders, "records", "run"])
    assert [path for path in read if path.startswith("images/")] == []
