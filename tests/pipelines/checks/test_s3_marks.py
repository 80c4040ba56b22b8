"""Marks of S3 objects come from listings, with fewer requests than objects."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import s3fs

from pipelines.checks.s3_marks import UNLISTED, listed_marks
from pipelines.fetch.fetched import ABSENT
from pipelines.fetch.objects import object_marks
from tests.s3_server import S3Server

pytestmark = pytest.mark.s3

OBJECTS = 2200


class Counting(s3fs.S3FileSystem):  # type: ignore[misc]
    """Counts its requests, and may refuse to list."""

    cachable = False
    refuses = False

    def call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self.calls[method] += 1
        if self.refuses:
            raise PermissionError("Access Denied")
        return super().call_s3(method, *args, **kwargs)


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> str:
    name = s3_server.new_bucket()
    folder = s3_server.folder / name / "photos"
    for n in range(OBJECTS):
        path = folder / f"{n % 7}" / f"é {n:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (1 + n % 50))
    return name


@pytest.fixture
def store(s3_server: S3Server, bucket: str) -> tuple[Counting, str]:
    fs = Counting(**s3_server.options["s3"], use_listings_cache=False)
    fs.calls = Counter()
    return fs, f"s3://{bucket}/photos"


def name(n: int) -> str:
    return f"{n % 7}/é {n:05d}.png"


@pytest.mark.parametrize(
    ("wanted", "most"),
    [
        (range(OBJECTS), 5),
        (range(0, OBJECTS, 100), 5),
        ([5, 1900], 2),
        ([7 * n for n in range(300)], 2),
    ],
    ids=["all", "some", "two", "one folder"],
)
def test_listings_give_the_marks_that_the_objects_have(
    store: tuple[Counting, str], wanted: Any, most: int
) -> None:
    fs, base = store
    missing = [f"{base}/0/é 00000.pn", f"{base}/3/none.png", f"{base}/9/zz"]
    uris = [f"{base}/{name(n)}" for n in wanted]
    found = dict(listed_marks(fs, [*missing, *uris]))
    assert fs.calls["list_objects_v2"] <= most + len(missing)
    assert set(found) == {*missing, *uris}
    listed = {uri: marks for uri, marks in found.items() if marks != UNLISTED}
    assert {listed.get(uri, ABSENT) for uri in missing} == {ABSENT}
    for uri in uris[:: max(1, len(uris) // 20)]:
        assert listed.get(uri) in (None, object_marks(fs.info(uri)))
    if len(uris) > 2:
        assert len(listed) > len(uris) / 2


def test_a_bucket_that_cannot_be_listed(store: tuple[Counting, str]) -> None:
    fs, base = store
    fs.refuses = True
    uris = [f"{base}/{name(n)}" for n in range(50)]
    assert dict(listed_marks(fs, uris)) == dict.fromkeys(uris, UNLISTED)
    assert fs.calls["list_objects_v2"] == 1
