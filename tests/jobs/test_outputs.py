from __future__ import annotations

from pathlib import Path

import pytest

from jobs.outputs import hint_at_config
from pipelines.errors import StorageError


@pytest.mark.parametrize(
    ("uri", "config", "hinted"),
    [
        ("s3://bucket/out", None, True),
        ("s3://bucket/out", Path("run.yaml"), False),
        ("/data/out", None, False),
    ],
)
def test_errors_about_a_url_name_the_missing_option(
    uri: str, config: Path | None, hinted: bool
) -> None:
    with pytest.raises(StorageError, match=r"^.*: no keys") as caught, hint_at_config(config):
        raise StorageError(uri, "no keys", "denied")
    assert ("--config CONFIG" in str(caught.value)) is hinted
    assert caught.value.fault == "denied"
