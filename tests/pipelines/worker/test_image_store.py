from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.failures import RowFailedError
from pipelines.formats import ImageEncoding
from pipelines.storage.storage import Storage
from pipelines.worker.image_store import ImageStore
from tests.pipelines.pictures import encode, picture
from tests.s3_server import S3Server


def make(root: Path | str, **output: Any) -> ImageStore:
    return ImageStore(Storage.at(str(root)), ImageEncoding(**output))


@pytest.mark.parametrize(
    ("options", "ending", "fmt", "exact"),
    [
        ({}, ".png", "PNG", True),
        ({"format": "webp", "lossless": True}, ".webp", "WEBP", True),
        ({"format": "webp", "quality": 90}, ".webp", "WEBP", False),
        ({"format": "jpeg", "quality": 90}, ".jpg", "JPEG", False),
    ],
)
def test_formats(
    tmp_path: Path, options: dict[str, Any], ending: str, fmt: str, exact: bool
) -> None:
    [stored] = make(tmp_path, **options).save("row", [picture(64, 64)])
    assert stored.uri.endswith(f"/row{ending}")
    data = Path(stored.uri).read_bytes()
    assert (stored.sha256, stored.num_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == (fmt, "RGB", (64, 64))
        assert (image.tobytes() == picture(64, 64).tobytes()) == exact


def test_several_images_are_numbered_and_overwritten_in_place(tmp_path: Path) -> None:
    store = make(tmp_path)
    stored = store.save("row", [picture(seed=1), picture(seed=2)])
    again = store.save("row", [picture(seed=1), picture(seed=2)])
    assert [Path(image.uri).name for image in stored] == ["row_0.png", "row_1.png"]
    assert stored == again
    assert len({image.sha256 for image in stored}) == 2
    assert len(list(tmp_path.rglob("*.png"))) == 2


def test_nothing_is_written_when_one_image_cannot_be_encoded(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot write mode"):
        make(tmp_path, format="jpeg").save("row", [picture(), picture(mode="RGBA")])
    assert list(tmp_path.rglob("*.jpg")) == []


def test_storage_that_refuses_fails_the_row_with_its_uri(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the folder should be")
    with pytest.raises(RowFailedError) as caught:
        make(tmp_path).save("row", [picture()])
    failure = caught.value.failure
    assert failure.code == "storage_write"
    assert failure.uri is not None
    assert failure.uri.startswith(str(tmp_path))
    assert failure.uri in failure.message


@pytest.mark.s3
def test_images_on_s3(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    storage = Storage.at(f"s3://{bucket}/out", s3_server.options)
    [stored] = ImageStore(storage, ImageEncoding()).save("row", [picture()])
    folder = hashlib.sha256(b"row").hexdigest()[:2]
    assert stored.uri == f"s3://{bucket}/out/images/{folder}/row.png"
    assert storage.read(f"images/{folder}/row.png") == encode(picture(), compress_level=1)
