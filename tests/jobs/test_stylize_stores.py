"""`uso stylize` from a store into a store, with the tiny model."""

from __future__ import annotations

import io
import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from jobs.cli import app
from pipelines.ledger.records import iter_records
from pipelines.storage.storage import Storage
from tests.integration.harness import started_uso
from tests.s3_server import S3Server

pytestmark = [pytest.mark.s3, pytest.mark.timeout(300)]

FAST = ("--model", "tiny", "--size", "16", "--steps", "1")


def image(colour: str, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16), colour).save(buffer, kind)
    return buffer.getvalue()


@dataclass(frozen=True)
class Store:
    """A bucket with photographs and styles, and a file with its storage options alone."""

    url: str
    server: S3Server
    config: Path

    def at(self, path: str = "") -> Storage:
        return Storage.at(f"{self.url}/{path}".rstrip("/"), self.server.options)

    def stylize(self, *arguments: object) -> Result:
        command = ["stylize", *map(str, arguments), "--config", str(self.config)]
        return CliRunner().invoke(app, command)

    def statuses(self) -> dict[str, str]:
        batches = iter_records(self.at("out"), ["id", "status"])
        return {row["id"]: row["status"] for batch in batches for row in batch.to_pylist()}


@pytest.fixture
def store(s3_server: S3Server, tmp_path: Path) -> Store:
    config = tmp_path / "stores.yaml"
    config.write_text(yaml.safe_dump({"storage": s3_server.options}))
    store = Store(f"s3://{s3_server.new_bucket()}", s3_server, config)
    files = {
        "in/a/b c.jpg": image("teal"),
        "in/c.png": image("red", "PNG"),
        "in/cut.jpg": image("blue")[:300],
        "in/notes.txt": b"no image",
        "styles/dots.png": image("green", "PNG"),
    }
    for path, content in files.items():
        store.at().write(path, content)
    return store


def test_a_folder_of_a_store_is_drawn_into_the_store_and_the_same_command_resumes(
    store: Store,
) -> None:
    call = (f"{store.url}/in", "--style", f"{store.url}/styles", "--out", f"{store.url}/out")
    first = store.stylize(*call, *FAST, "--format", "jpg")
    assert first.exit_code == 3, first.output
    assert "left out 1 files of other types (.txt)" in first.stdout
    assert "cut.jpg--dots.png" in first.stdout
    made = ["pictures/a/b c__dots.jpg", "pictures/c__dots.jpg"]
    assert store.at("out").list("pictures") == made
    assert f"config   {store.url}/out/stylize/run.yaml: download it" in first.stdout
    assert f"uso status {store.url}/out --config {store.config}" in first.stdout
    assert b"<html" in store.at("out").read("report/index.html")
    assert store.server.secret.encode() not in store.at("out").read("stylize/run.yaml")

    store.at().write("in/new.png", image("black", "PNG"))
    store.at().delete("in/cut.jpg")
    again = store.stylize(*call, *FAST, "--format", "jpeg", "--json")
    assert again.exit_code == 0, again.output
    summary = json.loads(again.stdout)
    assert (summary["skipped"], summary["completed"], summary["left_out"]) == (2, 1, 1)
    assert summary["pictures_uri"] == f"{store.url}/out/pictures"
    assert store.at("out").list("pictures") == [*made, "pictures/new__dots.jpg"]


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("in/*.png", 0, "images   1, named"),
        ("in/c.png", 0, "images   1, named"),
        ("empty", 2, "PHOTOS URL/empty: "),
        ("in/notes.txt", 3, "notes.txt--dots.png"),
        ("twins", 2, "both get 'pictures/"),
        ("", 2, "--out URL/out: is inside PHOTOS URL"),
        ("no-such/*.jpg", 2, "PHOTOS URL/no-such/*.jpg: "),
    ],
)
def test_a_place_of_a_store(store: Store, place: str, code: int, said: str) -> None:
    for name in ("Cat.jpg", "cat.jpg"):  # names that a file system may take for the same
        store.at().write(f"twins/{name}", image("teal"))
    url = f"{store.url}/{place}".rstrip("/")
    result = store.stylize(
        url, "--style", f"{store.url}/styles", "--out", f"{store.url}/out", *FAST
    )
    assert result.exit_code == code, result.output
    assert said.replace("URL", store.url) in result.output
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_drawn_and_the_same_command_draws_the_rest(store: Store) -> None:
    for number in range(30):
        store.at().write(f"many/{number:02}.jpg", image("teal"))
    call = ["stylize", f"{store.url}/many", "--style", f"{store.url}/styles"]
    call += ["--out", f"{store.url}/out", "--config", str(store.config), *FAST]
    with started_uso(*call) as process:
        while len(store.at("out").list("pictures")) < 2:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "resume   run the same command again" in said
    assert "Traceback" not in said
    drawn = store.statuses()
    assert 2 <= len(drawn) < 30
    result = store.stylize(*call[1:], "--json")
    summary: dict[str, Any] = json.loads(result.stdout)
    assert (summary["skipped"], summary["completed"]) == (len(drawn), 30 - len(drawn))
    assert len(store.at("out").list("pictures")) == 30
