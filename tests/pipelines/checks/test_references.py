"""References that were replaced under their names are noticed, by their marks or their content."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipelines.checks.current_marks import CurrentMarks
from pipelines.checks.references import ReferenceCheck
from pipelines.checks.seen_versions import PATH, SeenVersions
from pipelines.config.inputs import FetchConfig
from pipelines.failures import Failure, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.ledger.records import Records
from pipelines.record import REFERENCE_VERSIONS
from pipelines.rows import ManifestRow, Outcome
from pipelines.storage.filesystems import Options
from pipelines.storage.storage import Storage
from pipelines.worker.seen_references import Seen
from tests.pipelines.http_origin import Origin, serving
from tests.pipelines.pictures import encode, picture
from tests.pipelines.records import drop_column
from tests.pipelines.tools.report.outputs import commit, record
from tests.s3_server import S3Server
from uso_core.request import Parameters

Replace = Callable[[str, bytes | None], None]
REFUSAL = b"HTTP/1.1 405 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
IMAGES = [encode(picture(8, 8, seed=seed), "PNG") for seed in range(3)]


class Run:
    """Rows with references at one place, and the checks of an output that fetched them."""

    def __init__(self, folder: Path, base: str, replace: Replace, **fetch: Any) -> None:
        self.options: Options = fetch.pop("options", {})
        self.base = base
        self.replace = replace
        self.fetch = {"allow_private_networks": True, "timeout_s": 5, "attempts": 1, **fetch}
        self.output = Storage.at(str(folder / "out"))

    def uri(self, name: str) -> str:
        return f"{self.base}/{name}"

    def record(self, **rows: list[str]) -> None:
        """Fetch the references of each row as a worker does, and commit the records."""
        with closing(Fetcher(self._config(), self.options, with_marks=True)) as fetcher:
            commit(self.output, *(self._record(fetcher, *row) for row in rows.items()))

    def check(self, **fetch: Any) -> tuple[list[str], list[str], int]:
        """Return the replaced references, their rows, and the number that is unknown."""
        config = self._config(**fetch)
        seen = SeenVersions(self.output)
        with closing(Fetcher(config, self.options)) as fetcher:
            marks = CurrentMarks(fetcher, self.options)
            check = ReferenceCheck(fetcher, config, marks, seen)
            found = list(check.changes(Records(self.output), lambda _step, _done: None))
        seen.save()
        uris = [uri.removeprefix(f"{self.base}/") for each in found for uri in each.uris]
        return uris, [row_id for each in found for row_id in each.row_ids], check.unknown

    def _config(self, **fetch: Any) -> FetchConfig:
        return FetchConfig.model_validate({**self.fetch, **fetch})

    def _record(self, fetcher: Fetcher, row_id: str, names: list[str]) -> dict[str, Any]:
        content, *styles = map(self.uri, names)
        row = ManifestRow(row_id, "", content, tuple(styles), Parameters(), "0" * 32)
        seen = Seen(row)
        failure: Failure | None = None
        try:
            for place, uri in enumerate([content, *styles]):
                fetcher.fetch(uri, seen.note(place))
        except RowFailedError as error:
            failure = error.failure
        outcome = Outcome(row_id=row_id, failure=failure, references=seen.versions)
        return record(row_id, outcome, content=content, styles=styles)


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.s3), "http", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    """Each kind of place, with `stat` as its mode."""
    if request.param == "http":
        with serving() as origin:
            yield Run(tmp_path, origin.url(""), on_web(origin), fingerprint="stat")
        return
    options: Options = {}
    base = {"disk": str(tmp_path / "refs"), "memory": f"memory://{tmp_path.name}"}.get(
        request.param
    )
    if base is None:
        server: S3Server = request.getfixturevalue("s3_server")
        base, options = f"s3://{server.new_bucket()}/a b", server.options
    files = Storage.at(base, options)

    def replace(name: str, data: bytes | None) -> None:
        if data is None:
            files.delete(name)
        else:
            files.write(name, data)

    yield Run(tmp_path, base, replace, options=options, fingerprint="stat")


def on_web(origin: Origin) -> Replace:
    def replace(name: str, data: bytes | None) -> None:
        def answer(connection: Any) -> None:
            head = origin.requests[-1].startswith("HEAD")
            if data is None:
                connection.sendall(REFUSAL.replace(b"405", b"404"))
                return
            fields = f'ETag: "{hash(data)}"\r\nContent-Length: {len(data)}\r\nConnection: close'
            connection.sendall(f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode())
            if not head:
                connection.sendall(data)

        origin.on(f"/{quote(name)}", answer)

    return replace


@pytest.mark.parametrize("mode", ["stat", "content"])
def test_a_replaced_reference_is_noticed_and_no_other(place: Run, mode: str) -> None:
    names = ["a.png", "b/c d.png", "s.png", "gone.png"]
    for n, name in enumerate(names):
        place.replace(name, IMAGES[n % 2])
    place.replace("broken.png", b"no image")
    place.record(
        one=["a.png", "s.png"], two=["b/c d.png", "s.png"], three=["gone.png"], four=["a.png"],
        bad=["broken.png"], missing=["later.png"],
    )  # fmt: skip
    assert place.check(fingerprint=mode) == ([], [], 0)
    place.replace("b/c d.png", IMAGES[2])
    place.replace("gone.png", None)
    place.replace("broken.png", IMAGES[0])
    place.replace("later.png", IMAGES[0])
    uris, rows, unknown = place.check(fingerprint=mode)
    assert uris == ["b/c d.png", "broken.png", "later.png"]
    assert (sorted(rows), unknown) == (["bad", "missing", "two"], 0)
    place.replace("s.png", IMAGES[2])
    assert sorted(place.check(fingerprint=mode)[1]) == ["bad", "missing", "one", "two"]
    assert place.check(fingerprint="uri") == ([], [], 0)


def test_an_old_output_takes_up_the_versions_of_now(place: Run) -> None:
    place.replace("a.png", IMAGES[0])
    place.replace("b.png", IMAGES[1])
    place.record(one=["a.png"], two=["b.png"])
    drop_column(place.output, REFERENCE_VERSIONS)
    place.replace("a.png", IMAGES[2])
    for _ in range(2):
        assert place.check() == ([], [], 0)
    place.replace("a.png", IMAGES[0])
    assert place.check() == (["a.png"], ["one"], 0)
    assert place.check() == (["a.png"], ["one"], 0)


@pytest.fixture
def disk(tmp_path: Path) -> Run:
    files = Storage.at(str(tmp_path / "refs"))

    def replace(name: str, data: bytes | None) -> None:
        files.write(name, data or b"")

    return Run(tmp_path, str(tmp_path / "refs"), replace)


def test_a_file_that_was_only_touched_is_the_same(disk: Run, tmp_path: Path) -> None:
    disk.replace("a.png", IMAGES[0])
    disk.record(one=["a.png"])
    os.utime(tmp_path / "refs/a.png", (1, 1))
    assert disk.check() == ([], [], 0)
    assert disk.output.exists(PATH)
    kept = disk.output.read(PATH)
    assert disk.check() == ([], [], 0)
    assert disk.output.read(PATH) == kept
    disk.output.write(PATH, b"damaged")
    assert disk.check() == ([], [], 0)
    disk.replace("a.png", IMAGES[1])
    assert disk.check() == (["a.png"], ["one"], 0)


def test_content_of_the_same_size_and_time_is_seen_by_its_hash_alone(
    disk: Run, tmp_path: Path
) -> None:
    disk.replace("a.png", IMAGES[0])
    os.utime(tmp_path / "refs/a.png", (1, 1))
    disk.record(one=["a.png"])
    (tmp_path / "refs/a.png").write_bytes(bytes(len(IMAGES[0])))
    os.utime(tmp_path / "refs/a.png", (1, 1))
    assert disk.check() == ([], [], 0)
    assert disk.check(fingerprint="content") == (["a.png"], ["one"], 0)


def test_a_file_that_was_too_large_is_tried_again(disk: Run) -> None:
    disk.replace("a.png", bytes(2000))
    disk.fetch["max_mb"] = 0.001
    disk.record(one=["a.png"])
    assert disk.check() == ([], [], 0)
    disk.replace("a.png", IMAGES[0])
    assert disk.check() == (["a.png"], ["one"], 0)


@pytest.mark.parametrize("fetch", [{"allow_local_files": False}, {"local_roots": ["/nowhere"]}])
def test_files_that_the_policy_forbids_are_not_looked_at(disk: Run, fetch: dict[str, Any]) -> None:
    disk.replace("a.png", IMAGES[0])
    disk.record(one=["a.png"])
    disk.replace("a.png", IMAGES[1])
    assert disk.check(**fetch) == ([], [], 1)


def test_a_web_server_that_refuses_heads_or_is_down(tmp_path: Path) -> None:
    with serving() as origin:
        replace = on_web(origin)
        run = Run(tmp_path, origin.url(""), replace, fingerprint="stat")
        for n in range(40):
            replace(f"{n}.png", IMAGES[0])
        run.record(**{f"r{n}": [f"{n}.png"] for n in range(40)})
        for n in range(40):
            origin.on(f"/{n}.png", lambda connection: connection.sendall(REFUSAL))
        assert run.check() == ([], [], 40)
        assert len(origin.requests) < 40 + 2 * 30, "a server that fails is not asked for each file"
