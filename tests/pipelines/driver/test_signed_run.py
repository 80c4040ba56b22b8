"""A run that signs: records, a resumed run, shards, the report, and the key that stays put."""

from __future__ import annotations

import io
import logging
import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from jobs.cli import app
from jobs.cluster.package import extras, pack
from jobs.cluster.paths import local_paths, with_absolute_paths
from pipelines.config.schema import RunConfig
from pipelines.driver.prepare import prepare
from pipelines.errors import ConfigError
from pipelines.formats import FORMATS, LAYOUT_SUMMARIES, FormatName
from pipelines.manifest.manifest import Manifest
from pipelines.provenance.reading import read_manifest
from pipelines.telemetry.stats import RunStats
from pipelines.through.server_run import ThroughServer
from pipelines.worker.spec import StylizerSpec
from tests.pipelines.driver.test_driver import config, write_rows
from tests.pipelines.driver.test_scores import run, write_styled
from tests.pipelines.provenance.chains import Chain, make_chain
from uso_core.loading.source import ModelCard
from uso_core.request import Limits

CARD = ModelCard("tiny:0", "tiny", Limits(min_size=16, size_step=16), "beef")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


def signed(folder: Path, chain: Chain, **keys: Any) -> RunConfig:
    given = {"certificate": str(chain.certificate), "key": str(chain.key), **keys}
    return config(folder, output={"provenance": {"c2pa": True, **given}}, ray={"address": "none"})


def test_records_hold_the_hash_before_signing_and_a_resumed_run_signs_nothing_again(
    tmp_path: Path, chain: Chain
) -> None:
    for name in ("plain", "signed"):
        (tmp_path / name).mkdir()
        write_styled(tmp_path / name, "ab", "a")
    plain, _, _ = run(config(tmp_path / "plain"))
    records, drawn, _ = run(signed(tmp_path / "signed", chain))
    assert sorted(drawn) == ["a", "b"]
    for name, record in records.items():
        assert record["unsigned_sha256"] == plain[name]["sha256"] != record["sha256"]
        assert "unsigned_sha256" not in plain[name]
    _, drawn, _ = run(signed(tmp_path / "signed", chain))
    assert drawn == []
    # Switched on later, it signs the new rows alone.
    write_styled(tmp_path / "plain", "abc", "a")
    records, drawn, _ = run(signed(tmp_path / "plain", chain))
    assert drawn == ["c"]
    assert [records[name]["unsigned_sha256"] is None for name in "abc"] == [True, True, False]


def test_a_column_holds_the_wish_of_each_row(tmp_path: Path, chain: Chain) -> None:
    count = 4
    wishes = ["allowed", "NOTALLOWED", None, "perhaps"]
    sizes: dict[str, list[Any]] = {"width": [32] * count, "height": [32] * count}
    write_rows(tmp_path, list("abcd"), wish=wishes, **sizes, num_steps=[1] * count)
    settings = signed(tmp_path, chain, training_mining="constrained", training_mining_column="wish")
    records, drawn, _ = run(settings)
    assert sorted(drawn) == ["a", "b", "c"]
    found = {}
    for name in "abc":
        manifest = read_manifest(Path(records[name]["outputs"][0]).read_bytes(), "image/png")
        assert manifest is not None
        found[name] = manifest.training_mining
    assert found == {"a": "allowed", "b": "notAllowed", "c": "constrained"}
    error = records["d"]["error"]
    assert error["code"] == "invalid_request"
    assert error["message"].startswith("wish: 'perhaps' is not a wish about training and mining")
    wishes[3] = "allowed"
    write_rows(tmp_path, list("abcd"), wish=wishes, **sizes, num_steps=[1] * count)
    records, drawn, _ = run(settings)
    assert drawn == ["d"]
    assert records["d"]["status"] == "completed"
    with pytest.raises(ConfigError, match=r"training_mining_column: 'wishes' is not among"):
        Manifest.open(signed(tmp_path, chain, training_mining_column="wishes"), CARD)


def test_a_server_signs_nothing_so_such_a_run_is_refused(tmp_path: Path, chain: Chain) -> None:
    with pytest.raises(ConfigError, match="a server signs no images"):
        ThroughServer.connect("http://127.0.0.1:1", signed(tmp_path, chain))


@pytest.fixture
def output(tmp_path: Path, chain: Chain) -> Path:
    write_styled(tmp_path, "ab", "a")
    run(signed(tmp_path, chain))
    return tmp_path / "out"


def call(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def is_signed(data: bytes, media_type: str = "image/png") -> bool:
    found = read_manifest(data, media_type)
    return found is not None and not found.problems


@pytest.mark.parametrize("name", FORMATS)
def test_signatures_survive_packing(tmp_path: Path, chain: Chain, name: FormatName) -> None:
    write_styled(tmp_path, "ab", "a")
    settings = signed(tmp_path, chain)
    run(settings.model_copy(update={"output": settings.output.model_copy(update={"format": name})}))
    output, known = tmp_path / "out", FORMATS[name]
    for layout in LAYOUT_SUMMARIES:
        call("pack", str(output), "--layout", layout)
        files = [*_packed(output / layout, layout, known.extensions[0])]
        assert [is_signed(data, known.mime_type) for data in files] == [True, True]
    (image,) = _decoded_by_datasets(output / "webdataset", tmp_path / "cache", known.extensions[0])
    assert image.size == (32, 32)


def _decoded_by_datasets(folder: Path, cache: Path, extension: str) -> list[Image.Image]:
    data = datasets.load_dataset(str(folder), split="train", cache_dir=str(cache))
    return [row[extension] for row in data.select([0])]


def _packed(folder: Path, layout: str, extension: str = "png") -> Iterator[bytes]:
    if layout == "webdataset":
        for shard in sorted((folder / "data").glob("*.tar")):
            with tarfile.open(shard) as archive:
                for member in archive:
                    file = archive.extractfile(member)
                    if member.name.endswith(f".{extension}") and file is not None:
                        yield file.read()
    elif layout == "parquet":
        for path in sorted((folder / "data").glob("*.parquet")):
            yield from (each["image"]["bytes"] for each in pq.read_table(path).to_pylist())
    else:
        yield from (path.read_bytes() for path in sorted(folder.rglob(f"*.{extension}")))


def test_a_map_that_decodes_and_encodes_loses_them(output: Path, tmp_path: Path) -> None:
    call("pack", str(output), "--layout", "parquet")
    files = [str(path) for path in (output / "parquet" / "data").glob("*.parquet")]
    data = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert data.features["image"] == datasets.Image()
    kept = data.map(lambda row: {"length": len(row["prompt"])})
    raw = kept.cast_column("image", datasets.Image(decode=False))
    assert [is_signed(row["image"]["bytes"]) for row in raw] == [True, True]

    def smaller(row: dict[str, Any]) -> dict[str, Any]:
        return {"image": row["image"].resize((16, 16))}

    encoded = data.map(smaller).cast_column("image", datasets.Image(decode=False))
    assert [read_manifest(row["image"]["bytes"], "image/png") for row in encoded] == [None, None]


def test_copies_that_are_encoded_again_have_no_manifest(output: Path) -> None:
    image = next((output / "images").rglob("*.png"))
    with Image.open(image) as opened:
        for name in ("PNG", "WEBP", "JPEG"):
            buffer = io.BytesIO()
            opened.convert("RGB").save(buffer, name)
            assert read_manifest(buffer.getvalue(), f"image/{name.lower()}") is None
    call("report", str(output))
    for path in (output / "report").rglob("*"):
        if path.suffix in (".jpg", ".jpeg", ".webp", ".png"):
            media_type = f"image/{path.suffix[1:].replace('jpg', 'jpeg')}"
            assert read_manifest(path.read_bytes(), media_type) is None


def test_the_key_is_in_no_file_log_job_or_pickle(
    tmp_path: Path, chain: Chain, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("USO_TEST_SIGNING", chain.key.read_text())
    secret = chain.key.read_text().splitlines()[1].encode()
    for name, key in (("path", str(chain.key)), ("variable", "${USO_TEST_SIGNING}")):
        folder = tmp_path / name
        folder.mkdir()
        write_styled(folder, "ab", "a")
        settings = signed(folder, chain, key=key)
        run(settings)
        with prepare(settings) as prepared:
            prepared.run_file.write("completed", RunStats(), 2)
        call("report", str(folder / "out"))
        call("pack", str(folder / "out"), "--layout", "webdataset")
        package = pack(with_absolute_paths(settings), folder)
        assert "c2pa" in extras(settings)
        with zipfile.ZipFile(package.path) as archive:
            sent = archive.read("run.yaml")
            packed = b"".join(map(archive.read, archive.namelist()))
        assert yaml.safe_load(sent)["output"]["provenance"]["key"] == key
        spec = pickle.dumps(StylizerSpec.from_config(settings))
        written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
        assert str(key).encode() in written  # the run file names it
        for place in (written, packed, spec, caplog.text.encode()):
            assert secret not in place


def test_paths_of_keys_count_as_paths_and_variables_do_not(chain: Chain, tmp_path: Path) -> None:
    keys = {each.key for each in local_paths(signed(tmp_path, chain))}
    assert {"output.provenance.certificate", "output.provenance.key"} <= keys
    keys = {each.key for each in local_paths(signed(tmp_path, chain, key="${NAME}"))}
    assert "output.provenance.key" not in keys
