from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.config.model import ModelConfig
from pipelines.failures import Failure, RowFailedError
from pipelines.formats import ImageEncoding
from pipelines.image_names import OVERWRITTEN
from pipelines.ledger.lease import LEASE_PATH, Heartbeat
from pipelines.rows import ManifestRow
from pipelines.storage.storage import Storage
from pipelines.worker.sink import FolderSink, ImageFile, StoredImage
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from tests.clock import Clock
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tiny_models import tiny
from tests.s3_server import S3Server
from uso_core.request import Parameters

PNG = ImageFile(encode(picture()), "png")


def row(row_id: str = "row") -> ManifestRow:
    parameters = Parameters(width=32, height=48, num_steps=1, num_images=2)
    return ManifestRow(row_id, "a boat", None, (), parameters, "f00d")


def test_a_file_is_stored_as_it_is(tmp_path: Path) -> None:
    [stored] = FolderSink(Storage.at(str(tmp_path))).save(row(), [ImageFile(b"a file", "webp")])
    assert stored.uri.endswith("/row.webp")
    assert Path(stored.uri).read_bytes() == b"a file"
    assert stored.sha256 == hashlib.sha256(b"a file").hexdigest()
    assert stored.num_bytes == 6


def test_several_images_are_numbered_and_overwritten_in_place(tmp_path: Path) -> None:
    sink = FolderSink(Storage.at(str(tmp_path)))
    files = [ImageFile(encode(picture(seed=seed)), "png") for seed in (1, 2)]
    stored = sink.save(row(), files)
    again = sink.save(row(), files)
    assert [Path(image.uri).name for image in stored] == ["row_0.png", "row_1.png"]
    assert stored == again
    assert len({image.sha256 for image in stored}) == 2
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_storage_that_refuses_fails_the_row_with_its_uri(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the folder should be")
    with pytest.raises(RowFailedError) as caught:
        FolderSink(Storage.at(str(tmp_path))).save(row(), [PNG])
    failure = caught.value.failure
    assert failure.code == "storage_write"
    assert failure.uri is not None
    assert failure.uri.startswith(str(tmp_path))
    assert failure.uri in failure.message


@pytest.mark.parametrize("creates", [True, False])
def test_only_an_image_that_is_replaced_by_another_one_is_noted(
    tmp_path: Path, creates: bool
) -> None:
    storage = Storage.at(str(tmp_path))
    hold(storage, "run-1")
    storage.creates = creates
    for content, notes in ((b"a", 0), (b"b", 1)):
        sink = FolderSink(storage, "run-1")
        [stored] = sink.save(row(), [ImageFile(content, "png")])
        assert len(storage.list(OVERWRITTEN)) == notes
    (note,) = storage.list(OVERWRITTEN)
    assert note.endswith(stored.sha256)
    FolderSink(storage).save(row(), [ImageFile(b"c", "png")])  # without a run, nobody reads notes
    assert storage.list(OVERWRITTEN) == [note]


@pytest.mark.s3
def test_images_on_s3(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    storage = Storage.at(f"s3://{bucket}/out", s3_server.options)
    [stored] = FolderSink(storage).save(row(), [PNG])
    folder = hashlib.sha256(b"row").hexdigest()[:2]
    assert stored.uri == f"s3://{bucket}/out/images/{folder}/row.png"
    assert storage.read(f"images/{folder}/row.png") == PNG.data


class Mailbox:
    """A sink of another kind: keeps the files, and refuses one row."""

    def __init__(self) -> None:
        self.received: dict[str, Sequence[ImageFile]] = {}

    def save(self, row: ManifestRow, files: Sequence[ImageFile]) -> list[StoredImage]:
        if row.id == "refused":
            raise RowFailedError(Failure("storage_write", "no such mailbox"))
        self.received[row.id] = files
        return [StoredImage.of(f"mail:{row.id}/{n}", file.data) for n, file in enumerate(files)]


def spec() -> StylizerSpec:
    return StylizerSpec(
        model=ModelConfig(base="tiny"),
        fetch=FetchConfig(),
        encoding=ImageEncoding("jpeg", quality=80),
    )


def test_a_worker_stores_where_its_sink_says() -> None:
    mailbox = Mailbox()
    stylizer = Stylizer(spec(), pipeline=tiny(), sink=mailbox)
    outcome, refused = (stylizer.stylize(row(row_id)) for row_id in ("letter", "refused"))
    stylizer.close()
    files = mailbox.received["letter"]
    assert outcome.outputs == ("mail:letter/0", "mail:letter/1")
    assert outcome.sha256 == tuple(hashlib.sha256(file.data).hexdigest() for file in files)
    assert [file.data[:3] for file in files] == [b"\xff\xd8\xff"] * 2
    assert {file.extension for file in files} == {"jpg"}
    assert stylizer.activity().stored_bytes == sum(len(file.data) for file in files)
    assert refused.failure == Failure("storage_write", "no such mailbox")


def test_a_worker_needs_an_output_or_a_sink() -> None:
    with pytest.raises(ValueError, match="give a sink"):
        Stylizer(spec(), pipeline=tiny())


def hold(storage: Storage, run_id: str) -> None:
    heartbeat = asdict(Heartbeat.of_this_process(run_id))
    storage.write(LEASE_PATH, json.dumps(heartbeat).encode())


def test_a_run_whose_lease_another_driver_took_stores_nothing(tmp_path: Path) -> None:
    storage, clock = Storage.at(str(tmp_path)), Clock()
    sink = FolderSink(storage, "run-1", clock)
    hold(storage, "run-1")
    sink.save(row(), [PNG])
    hold(storage, "run-2")
    clock.now += 5
    with pytest.raises(RowFailedError, match="no longer holds the lease"):
        sink.save(row(), [ImageFile(b"other", "png")])
    (path,) = storage.list("images")
    assert storage.read(path) == PNG.data


def test_the_lease_is_read_every_few_seconds_only(tmp_path: Path) -> None:
    storage, clock = Storage.at(str(tmp_path)), Clock()
    sink = FolderSink(storage, "run-1", clock)
    hold(storage, "run-1")
    sink.save(row(), [PNG])
    storage.delete(LEASE_PATH)
    clock.now += 4
    sink.save(row(), [PNG])
    clock.now += 1
    with pytest.raises(RowFailedError, match="lease"):
        sink.save(row(), [PNG])


class Halting(Storage):
    """A store whose user is suspended before its next write, while something else happens."""

    meanwhile: Callable[[], None] | None = None

    def create(self, path: str, data: bytes) -> bool:
        self._halt()
        return super().create(path, data)

    def _halt(self) -> None:
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()


@pytest.mark.parametrize("url", ["", "memory://"])
def test_an_actor_that_was_suspended_overwrites_no_image_of_another_driver(
    tmp_path: Path, url: str
) -> None:
    place = url + str(tmp_path / "out")
    storage, halting = Storage.at(place), Halting(place, {})
    storage.check_writable()
    halting.creates = storage.creates
    sink, other = FolderSink(halting, "run-1"), FolderSink(storage, "run-2")
    hold(storage, "run-1")

    def take_over() -> None:
        hold(storage, "run-2")
        other.save(row(), [PNG])

    halting.meanwhile = take_over
    with pytest.raises(RowFailedError, match="no longer holds the lease"):
        sink.save(row(), [ImageFile(b"other", "png")])
    (path,) = storage.list("images")
    assert storage.read(path) == PNG.data


def test_an_image_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    storage = Storage.at(str(tmp_path))
    storage.check_writable()
    assert storage.creates
    hold(storage, "run-1")
    sink = FolderSink(storage, "run-1")
    sink.save(row(), [ImageFile(b"old", "png")])
    (stored,) = sink.save(row(), [PNG])
    assert storage.read(storage.list("images")[0]) == PNG.data
    assert stored.sha256 == hashlib.sha256(PNG.data).hexdigest()
