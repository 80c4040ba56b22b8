from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipelines.config.model import ModelConfig
from pipelines.errors import StorageError
from pipelines.worker.model_files import localize
from pipelines.worker.sparse_copy import sparse_copy
from tests.s3_server import S3Server
from uso_core.errors import CheckpointError
from uso_core.loading import fingerprint
from uso_core.loading.dimensions import dimensions_of
from uso_core.loading.source import ModelSource, describe_model

_LARGE = "flux1-dev.safetensors"


@pytest.fixture(autouse=True)
def _small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model's weights count as large files, of which eight small samples are read."""
    monkeypatch.setattr(fingerprint, "WHOLE_BYTES", 20_000)
    monkeypatch.setattr(fingerprint, "SAMPLES", 8)
    monkeypatch.setattr(fingerprint, "SAMPLE_BYTES", 64)


def uploaded(folder: Path, url: str, options: dict[str, Any] | None = None) -> str:
    filesystem, path = fsspec.url_to_fs(url, **(options or {}))
    filesystem.put(f"{folder}/", f"{path}/", recursive=True)
    return url


@pytest.fixture
def url(checkpoint: Path, request: pytest.FixtureRequest) -> str:
    return uploaded(checkpoint, f"memory://sparse/{request.node.name}/tiny-model")


def check_same_model(
    url: str, options: dict[str, dict[str, Any]], checkpoint: Path, cache: Path
) -> None:
    config = ModelConfig(base=url, cache_dir=str(cache))
    source, whole = sparse_copy(config, options), ModelSource(base=str(checkpoint))
    assert describe_model(source) == describe_model(whole)
    assert dimensions_of(source) == dimensions_of(whole)
    sparse, original = Path(source.base) / _LARGE, checkpoint / _LARGE
    assert sparse.stat().st_size == original.stat().st_size
    assert sparse.read_bytes() != original.read_bytes()  # or nothing was saved

    weights = Path(localize(config, options).base) / _LARGE
    assert weights != sparse
    assert weights.read_bytes() == original.read_bytes()


def test_a_sparse_copy_is_described_as_the_whole_model_is(
    url: str, checkpoint: Path, tmp_path: Path
) -> None:
    check_same_model(url, {}, checkpoint, tmp_path)


@pytest.mark.s3
def test_a_sparse_copy_of_weights_in_a_bucket(
    s3_server: S3Server, checkpoint: Path, tmp_path: Path
) -> None:
    url = f"s3://{s3_server.new_bucket()}/models/tiny-model"
    uploaded(checkpoint, url, s3_server.options["s3"])
    check_same_model(url, s3_server.options, checkpoint, tmp_path)


def test_a_sparse_copy_is_made_once_and_again_if_a_file_has_changed(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipelines.worker")
    config = ModelConfig(base=url, cache_dir=str(tmp_path))
    before = describe_model(sparse_copy(config, {}))
    assert "weights_outline" in caplog.text
    assert f"tiny-model/{_LARGE} bytes=" in caplog.text
    caplog.clear()
    assert describe_model(sparse_copy(config, {})) == before
    assert caplog.text == ""

    filesystem, path = fsspec.url_to_fs(f"{url}/{_LARGE}")
    content = bytearray(filesystem.cat_file(path))
    content[-1] ^= 1  # the end of the last sample
    filesystem.pipe_file(path, bytes(content))
    assert describe_model(sparse_copy(config, {})).fingerprint != before.fingerprint
    assert caplog.text.count("weights_outline") == 1


@pytest.mark.parametrize(
    "content",
    [bytes(30_000), b"\xff" * 30_000, (29_000).to_bytes(8, "little") + b"{" * 29_992],
    ids=["zeros", "header-of-exabytes", "no-json"],
)
def test_weights_that_are_broken_at_their_source_are_named(
    url: str, tmp_path: Path, content: bytes
) -> None:
    filesystem, path = fsspec.url_to_fs(f"{url}/{_LARGE}")
    filesystem.pipe_file(path, content)
    source = sparse_copy(ModelConfig(base=url, cache_dir=str(tmp_path)), {})
    with pytest.raises(CheckpointError, match="cannot be read") as caught:
        describe_model(source)
    assert caught.value.path.endswith(_LARGE)


def test_weights_that_are_missing_at_their_source_are_named(url: str, tmp_path: Path) -> None:
    filesystem, path = fsspec.url_to_fs(f"{url}/{_LARGE}")
    filesystem.rm_file(path)
    with pytest.raises(CheckpointError):
        sparse_copy(ModelConfig(base=url, cache_dir=str(tmp_path)), {})
    with pytest.raises(StorageError, match="nothing here"):
        sparse_copy(ModelConfig(base=f"{url}-not", cache_dir=str(tmp_path)), {})
