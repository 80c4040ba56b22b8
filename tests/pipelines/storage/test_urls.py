from __future__ import annotations

import pytest

from pipelines.storage.urls import UrlForm, redact_uri


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


@pytest.mark.parametrize(
    ("url", "path", "other", "said"),
    [
        ("az://c/in/m.parquet", "c/in/m.parquet", "c/in/x.png", "az://c/in/x.png"),
        ("s3a://b/in/", "b/in", "b/in/x.png", "s3://b/in/x.png"),
        ("gcs://b/in/*.parquet", "b/in/*.parquet", "b/in/m.parquet", "gs://b/in/m.parquet"),
        (
            "abfss://c@account.dfs.core.windows.net/in",
            "c/in",
            "c/in/x.png",
            "abfss://c@account.dfs.core.windows.net/in/x.png",
        ),
        ("sftp://u@host/in", "/in", "/in/x.png", "sftp://u@host/in/x.png"),
        ("https://host/m.csv?v=1", "https://host/m.csv?v=1", "https://host/x", "https://host/x"),
        ("hf://datasets/a/b@main/in", "datasets/a/b@main/in", "x/y", "hf://x/y"),
    ],
)
def test_the_url_of_a_found_file_has_the_form_of_the_given_one(
    url: str, path: str, other: str, said: str
) -> None:
    assert UrlForm(url, path).url_of(other) == said
