from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipelines.config.model import ModelConfig
from pipelines.errors import StorageError
from pipelines.worker.model_files import localize
from tests.s3_server import S3Server
from uso_core.errors import CheckpointError
from uso_core.loading.source import ModelSource, describe_model


def upload(folder: Path, url: str, options: dict[str, Any] | None = None) -> None:
    filesystem, path = fsspec.url_to_fs(url, **(options or {}))
    filesystem.put(f"{folder}/", f"{path}/", recursive=True)


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stamps_below(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def url(checkpoint: Path, request: pytest.FixtureRequest) -> str:
    url = f"memory://models/{request.node.name}/tiny-model"
    upload(checkpoint, url)
    return url


def test_hub_ids_tiny_and_local_paths_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ModelConfig(base="tiny:3", uso="owner/repo", siglip=str(tmp_path), uso_revision="abc")
    want = ModelSource(base="tiny:3", uso="owner/repo", siglip=str(tmp_path), uso_revision="abc")
    assert localize(config, {}) == want
    assert localize(ModelConfig(base=f"file://{tmp_path}"), {}).base == str(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:" / "bucket").mkdir(parents=True)
    assert localize(ModelConfig(base="s3://bucket"), {}).base == "s3://bucket"


def test_a_folder_at_a_url_becomes_the_same_model(
    url: str, checkpoint: Path, tmp_path: Path
) -> None:
    source = localize(ModelConfig(base=url, cache_dir=str(tmp_path)), {})
    assert Path(source.base).name == "tiny-model"
    assert files_below(Path(source.base)) == files_below(checkpoint)
    card = describe_model(ModelSource(base=str(checkpoint)))
    assert describe_model(source) == card


def test_only_files_that_have_changed_are_pulled_again(url: str, tmp_path: Path) -> None:
    config = ModelConfig(base=url, cache_dir=str(tmp_path))
    folder = Path(localize(config, {}).base)
    before = stamps_below(folder)
    assert stamps_below(Path(localize(config, {}).base)) == before

    (folder / "ae.safetensors").write_bytes(b"cut short")
    localize(config, {})
    assert (folder / "ae.safetensors").stat().st_size > 9

    filesystem, path = fsspec.url_to_fs(url)
    changed = filesystem.cat_file(f"{path}/config.json").replace(b"}", b"} ", 1)[:-1] + b"\n"
    time.sleep(0.01)
    filesystem.pipe_file(f"{path}/config.json", changed)
    before = stamps_below(folder)
    localize(config, {})
    after = stamps_below(folder)
    assert [name for name in before if before[name] != after[name]] == [str(folder / "config.json")]
    assert (folder / "config.json").read_bytes() == changed


def test_what_version_0_1_0_pulled_is_not_pulled_again(url: str, tmp_path: Path) -> None:
    """Its notes have every mark of a file's version that the store gave, not only the best."""
    config = ModelConfig(base=url, cache_dir=str(tmp_path))
    folder = Path(localize(config, {}).base)
    noted = folder.parent / "versions.json"
    versions = {name: f"{it}|more" for name, it in json.loads(noted.read_text()).items()}
    noted.write_text(json.dumps(versions))
    before = stamps_below(folder)
    localize(config, {})
    assert stamps_below(folder) == before


def test_objects_that_stand_for_folders_are_not_pulled(url: str, tmp_path: Path) -> None:
    filesystem, path = fsspec.url_to_fs(url)
    for name in ("", "empty/"):
        filesystem.store[f"{path}/{name}"] = filesystem.store[f"{path}/config.json"]
    folder = Path(localize(ModelConfig(base=url, cache_dir=str(tmp_path)), {}).base)
    assert not (folder / "empty").exists()
    assert (folder / "config.json").is_file()


def test_half_pulled_files_are_never_taken_for_whole(url: str, tmp_path: Path) -> None:
    config = ModelConfig(base=url, cache_dir=str(tmp_path))
    folder = Path(localize(config, {}).base)
    whole = (folder / "ae.safetensors").read_bytes()
    (folder / "ae.safetensors").rename(folder / "ae.safetensors.half")
    (folder / "ae.safetensors.half").write_bytes(whole[:100])
    localize(config, {})
    assert (folder / "ae.safetensors").read_bytes() == whole
    assert not list(folder.rglob("*.half"))


def test_weights_that_the_model_does_not_need_are_not_pulled(url: str, tmp_path: Path) -> None:
    filesystem, path = fsspec.url_to_fs(url)
    filesystem.pipe_file(f"{path}/other-model.safetensors", bytes(17 * 2**20))
    filesystem.pipe_file(f"{path}/LICENSE.md", b"terms")
    folder = Path(localize(ModelConfig(base=url, cache_dir=str(tmp_path)), {}).base)
    assert not (folder / "other-model.safetensors").exists()
    assert (folder / "LICENSE.md").read_bytes() == b"terms"


def test_a_missing_weight_is_named_before_anything_is_pulled(url: str, tmp_path: Path) -> None:
    filesystem, path = fsspec.url_to_fs(url)
    filesystem.rm_file(f"{path}/ae.safetensors")
    with pytest.raises(CheckpointError, match=r"ae\.safetensors") as caught:
        localize(ModelConfig(base=url, cache_dir=str(tmp_path)), {})
    assert caught.value.path == url
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("end", "said"), [("nothing-here", "nothing"), ("tiny-model/ae.safetensors", "give the folder")]
)
def test_urls_that_are_not_folders(url: str, tmp_path: Path, end: str, said: str) -> None:
    wrong = url.replace("tiny-model", end)
    with pytest.raises(StorageError, match=said) as caught:
        localize(ModelConfig(base=wrong, cache_dir=str(tmp_path)), {})
    assert caught.value.uri == wrong


_PULL = """
import json, logging, sys
from pipelines.config.model import ModelConfig
from pipelines.worker.model_files import localize
logging.basicConfig(level=logging.INFO)
url, cache, options = json.load(sys.stdin)
print(localize(ModelConfig(base=url, cache_dir=cache), options).base)
"""


@pytest.mark.s3
def test_two_processes_at_once_pull_once(
    s3_server: S3Server, checkpoint: Path, tmp_path: Path
) -> None:
    url = f"s3://{s3_server.new_bucket()}/models/tiny-model"
    upload(checkpoint, url, s3_server.options["s3"])
    job = json.dumps([url, str(tmp_path), s3_server.options])

    def pull() -> tuple[Path, int]:
        command = [sys.executable, "-c", _PULL]
        done = subprocess.run(command, input=job, capture_output=True, text=True, check=True)
        return Path(done.stdout.strip()), done.stderr.count("weights_pull")

    with ThreadPoolExecutor(2) as pool:
        first, second = [pool.submit(pull) for _ in range(2)]
    (folder, pulled), (same_folder, pulled_too) = first.result(), second.result()
    assert folder == same_folder
    assert files_below(folder) == files_below(checkpoint)
    assert sorted([pulled, pulled_too]) == [0, len(files_below(checkpoint))]
