"""Any reference gives an image or a failure with a code, and never shows a secret."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import strategies as st

from pipelines.config.inputs import FetchConfig
from pipelines.display import display_value
from pipelines.failures import CODES, RowFailedError
from pipelines.fetch.fetcher import Fetcher
from pipelines.fetch.http import HttpReader
from pipelines.fetch.http_guard import Address, GuardedBackend, NameNotFoundError
from pipelines.manifest.references import resolve_reference
from pipelines.storage.urls import redact_uri
from tests.fuzz.fuzzed import fuzzed

_SECRET = "hush5ecret"
_STARTS = st.sampled_from(
    [
        "",
        "/",
        "../",
        "file:",
        "file://",
        "data:",
        "http://",
        "https://",
        "HTTP://",
        "memory://",
        "x://",
        "abfs://",
        "::",
        "zip://a::",
        "//",
    ]
)
_REST = st.text(max_size=40) | st.text(alphabet="ab01.:/@[]%?#;,\\-_~\0\n é*&=", max_size=40)
_FOLDERS = st.sampled_from(["/data/set/", "s3://bucket/a/", "https://host/x/"])
_PLAIN = st.text(alphabet="abc123.-_~%/", max_size=12)


def _nowhere(host: str, port: int) -> list[Address]:
    raise NameNotFoundError(host)


@pytest.fixture(scope="module")
def fetcher() -> Iterator[Fetcher]:
    """Provide a fetcher without access to the network or to files."""
    config = FetchConfig(attempts=1, timeout_s=2, local_roots=["/nowhere"])
    reader = HttpReader(config, GuardedBackend(allow_private=False, resolve=_nowhere))
    with closing(Fetcher(config, {}, http=reader)) as made:
        yield made


@fuzzed(start=_STARTS, rest=_REST, folder=_FOLDERS)
def test_any_reference(fetcher: Fetcher, start: str, rest: str, folder: str) -> None:
    reference = start + rest
    if not reference:
        return
    resolved = resolve_reference(reference, folder)
    if resolved.startswith(("s3://", "hf://", "abfs://")):
        return  # these schemes query their stores
    with pytest.raises(RowFailedError) as caught:
        fetcher.fetch(resolved)
    assert caught.value.failure.code in CODES
    assert caught.value.failure.uri is not None


@fuzzed(
    st.lists(st.sampled_from(["..", ".", "a", "", "..%2f", "%2e%2e", "\\..", "b c"]), max_size=8)
)
def test_no_relative_reference_leaves_its_bucket(parts: list[str]) -> None:
    reference = "/".join(parts) or "a"
    if reference.startswith("/"):
        return
    resolved = resolve_reference(reference, "s3://bucket/folder/sub/")
    assert resolved.startswith("s3://bucket/")
    assert ".." not in resolved.split("/")


@fuzzed(scheme=st.sampled_from(["http", "https", "s3", "gs", "sftp"]), path=_PLAIN, name=_PLAIN)
def test_no_uri_shows_its_secrets(scheme: str, path: str, name: str) -> None:
    uris = [
        f"{scheme}://user:{_SECRET}@host/{path}",
        f"{scheme}://{_SECRET}@host/{path}",
        f"{scheme}://host/{path}?{name}=1&X-Amz-Signature={_SECRET}&sig={_SECRET}",
        f"{scheme}://host/{path}?token={_SECRET}#{name}",
        f"{scheme}://host/{path}?{name}access_key_id={_SECRET}&AWSAccessKeyId={_SECRET}",
    ]
    for uri in uris[:4]:
        assert _SECRET not in redact_uri(uri), uri
        assert _SECRET not in display_value(uri), uri
        assert redact_uri(redact_uri(uri)) == redact_uri(uri)


@fuzzed(st.text(max_size=60))
def test_any_text_can_be_shown(text: str) -> None:
    shown = io.StringIO(newline="\n")
    shown.write(display_value(text).encode(errors="backslashreplace").decode())
    assert "\n" not in shown.getvalue()
    assert "\x1b" not in shown.getvalue()
