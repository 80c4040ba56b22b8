"""The files of the page at `/`, without a browser; and the place of a task in the queue."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx2
import pytest

import jobs.serve
from jobs.serve.store.database import open_database
from jobs.serve.store.tasks import TaskStore
from tests.jobs.serve.running import Running
from tests.jobs.serve.test_tasks import new

FOLDER = Path(jobs.serve.__file__).parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg"}
NAMES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_served_with_its_type_and_the_policy(server: Running, name: str) -> None:
    answer = httpx2.get(f"{server.url}/page/{name}")
    assert answer.status_code == 200
    assert answer.content == (FOLDER / name).read_bytes()
    assert answer.headers["content-type"].startswith(TYPES[Path(name).suffix])
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_page_needs_no_key_and_is_asked_for_once(server: Running) -> None:
    first = httpx2.get(f"{server.url}/")
    assert (first.status_code, first.headers["content-type"][:9]) == (200, "text/html")
    for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
        again = httpx2.get(f"{server.url}/", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    changed = httpx2.get(f"{server.url}/", headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200
    assert httpx2.head(f"{server.url}/").headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize(
    "name", ["", "nothing.js", "..%2fapp.py", "%2e%2e%2fapp.py", "index.html%00"]
)
def test_no_other_file_is_served(server: Running, name: str) -> None:
    answer = httpx2.get(f"{server.url}/page/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("name", NAMES)
def test_no_file_has_a_foreign_address_or_inline_code(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    addresses = set(re.findall(r"(?:https?:)?//[a-z][\w.-]+", text)) - {"http://www.w3.org"}
    assert addresses == set()
    if name.endswith(".html"):
        assert re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*src=)", text) is None
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_an_uploaded_page_may_run_nothing(server: Running) -> None:
    hostile = ("a.html", b"<script>alert(1)</script>", "text/html")
    with server.client() as http:
        uri = http.post("/files", files={"file": hostile}).json()["data"]["uri"]
        answer = http.get(uri)
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_the_place_in_the_queue_is_the_order_of_the_claims(location: str) -> None:
    async def run() -> None:
        async with open_database(location) as database:
            store = TaskStore(database)
            queue = store.queue
            keys = ("many", "many", "many", "few", "many", "other", "few", "other")
            added = [await store.add(new(key)) for key in keys]
            batch = [await store.add(new("few", lane="batch")) for _ in range(2)]
            places = {await queue.before(task): task.id for task in added + batch}
            claimed = []
            for lane in ("interactive", "batch"):
                while found := await store.claim(lane, 1):
                    claimed.append(found[0].id)
            assert [places[place] for place in range(len(claimed))] == claimed
            now = await store.get(added[0].id)
            assert now is not None
            assert await queue.before(now) is None

    asyncio.run(run())
