"""The policy `fetch.wishes`, in a fetcher."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import PngImagePlugin

from pipelines.config.inputs import FetchConfig
from pipelines.failures import RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.rights.policy import Asked
from pipelines.reference_facts import ReferenceRights
from pipelines.rows import Reference
from tests.pipelines import http_origin as http
from tests.pipelines.fetch.rights.test_xmp import xmp
from tests.pipelines.pictures import encode, picture

COLUMN = "style_images[0]"
NOTHING = ReferenceRights()


def rights_of(
    reference: Reference, given: ReferenceRights = NOTHING, **fetch: Any
) -> ReferenceRights | None:
    found: list[ReferenceRights] = []
    fetcher = Fetcher(FetchConfig(allow_private_networks=True, timeout_s=5, **fetch))
    try:
        fetcher.fetch(reference, asked=Asked(COLUMN, given, found.append))
    finally:
        fetcher.close()
    return found[-1] if found else None


def refusal_of(reference: Reference, *given: Any, **fetch: Any) -> str:
    with pytest.raises(RowFailedError) as raised:
        rights_of(reference, *given, **fetch)
    assert raised.value.failure.code == "uri_refused"
    return raised.value.failure.message


def with_header(body: bytes) -> http.Answer:
    """An answer with two headers of the name, one with a user agent and another case."""

    def answer(connection: socket.socket) -> None:
        tags = b"x-robots-tag: noindex\r\nX-Robots-Tag: somebot: NoAI, noimageai\r\n"
        size = f"Content-Length: {len(body)}\r\n".encode()
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n" + tags + size + b"\r\n" + body
        )

    return answer


def test_a_wish_in_a_response_is_honoured_by_default(origin: http.Origin) -> None:
    url = origin.on("/a.png", *[with_header(encode(picture()))] * 3)
    assert refusal_of(url) == (
        f"{url}: column {COLUMN}: its owner does not want it used for AI (X-Robots-Tag: noai, "
        "noimageai); leave it out, or set fetch.wishes.http: record if you have their consent"
    )
    recorded = ReferenceRights(None, "X-Robots-Tag: noai, noimageai")
    assert rights_of(url, wishes="record") == recorded
    assert rights_of(url, wishes="ignore") is None


def test_a_wish_of_any_hop_of_a_redirect_counts(origin: http.Origin) -> None:
    """The owner of the URL that a row names may send on to a store, which says nothing."""
    origin.on("/a.png", *[http.ok(encode(picture()))] * 2)
    origin.on("/hop", http.status(302, Location="/a.png", X_Robots_Tag="noai"))
    assert "(X-Robots-Tag: noai)" in refusal_of(origin.on("/start", http.redirect("/hop")))
    assert rights_of(origin.url("/a.png")) is None


def test_a_wish_in_a_local_file_is_recorded_by_default(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(picture(), "JPEG", xmp=xmp("DMI-PROHIBITED", 'cc:license="CC0"')))
    recorded = ReferenceRights("CC0", "plus:DataMining DMI-PROHIBITED")
    assert rights_of(str(path)) == rights_of(path.read_bytes()) == recorded
    said = refusal_of(str(path), wishes={"others": "honour"})
    assert "(plus:DataMining DMI-PROHIBITED)" in said
    assert "fetch.wishes.others: record" in said


def test_compressed_xmp_of_a_png_is_read() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp().decode(), lang="en", tkey="k", zip=True)
    found = rights_of(encode(picture(), "PNG", pnginfo=info))
    assert found == (None, "plus:DataMining DMI-PROHIBITED-AIMLTRAINING")


def test_a_file_beside_a_local_reference_counts_before_its_own_xmp(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(picture(), "JPEG", xmp=xmp(extra='cc:license="CC0"')))
    (tmp_path / "a.jpg.license").write_text("SPDX-License-Identifier: MIT\nnoai\n")
    assert rights_of(str(path)) == ("MIT", "noai in a.jpg.license")
    own = ("CC0", "plus:DataMining DMI-PROHIBITED-AIMLTRAINING")
    assert rights_of(str(path), sidecars="off") == own
    assert rights_of(str(path), ReferenceRights("own", None)) == ("own", "noai in a.jpg.license")


def test_files_beside_objects_are_read_on_request() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/rights/a.png", encode(picture()))
    memory.pipe("/rights/a.png.license", b"SPDX-License-Identifier: MIT")
    assert rights_of("memory://rights/a.png") is None
    assert rights_of("memory://rights/a.png", sidecars="all") == ("MIT", None)


def test_the_manifests_mark_refuses_before_anything_is_fetched(origin: http.Origin) -> None:
    given = ReferenceRights("CC0", "column noai")
    url = origin.url("/none.png")
    assert "(column noai)" in refusal_of(url, given)
    assert origin.requests == []


def test_pictures_without_marks_note_nothing() -> None:
    buffer = io.BytesIO(encode(picture(), "WEBP"))
    assert rights_of(buffer.getvalue()) is None
