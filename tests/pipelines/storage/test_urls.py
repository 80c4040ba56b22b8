from __future__ import annotations

import pytest

from pipelines.storage.urls import redact_uri


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:pw@host/a.png", "https://host/a.png"),
        ("https://token@host/a.png", "https://host/a.png"),
        ("s3://key:secret@bucket/a@b.png", "s3://bucket/a@b.png"),
        ("https://h/a?w=1&X-Amz-Signature=abc&X-Amz-Credential=k", "https://h/a?w=1"),
        ("https://h/a?X-Goog-Signature=abc#part", "https://h/a#part"),
        ("https://h/a?sv=2024&sig=abc%3D&se=x", "https://h/a?sv=2024&se=x"),
        ("https://h/a?access_token=abc&api-key=d&v=%20", "https://h/a?v=%20"),
        ("https://h/a?id=3&size=2", "https://h/a?id=3&size=2"),
        ("abfs://container@account.dfs.core.windows.net/a", None),
        ("filecache::https://me:pw@h/a", "filecache::https://h/a"),
        ("https://[bad:pw@h/a", "https://h/a"),
        ("/local/a@b?token=x", None),
        ("s3://bucket/plain.png", None),
        ("", None),
    ],
)
def test_redacted_uris(uri: str, shown: str | None) -> None:
    assert redact_uri(uri) == (uri if shown is None else shown)
