from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from tests.pipelines import http_origin
from tests.pipelines.pictures import encode, picture
from uso_core.loading.tiny import write_tiny_checkpoint


def validate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["validate", *map(str, arguments)])


def write_run(folder: Path, **columns: list[object]) -> Path:
    (folder / "a.png").write_bytes(encode(picture()))
    pq.write_table(pa.table(columns), folder / "m.parquet")
    path = folder / "run.yaml"
    path.write_text(
        f"manifest: {{path: {folder}/m.parquet}}\noutput: {{path: {folder}/out}}\n"
        "model: {base: tiny}\n"
    )
    return path


def test_a_valid_manifest(tmp_path: Path) -> None:
    config = write_run(tmp_path, id=["1", "2"], content_image=["a.png", "a.png"])
    result = validate(config, "--fetch", "all")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "rows 2, 2 of them valid references 1 different, 1 fetched" in text
    assert "Nothing is wrong." in text
    assert not (tmp_path / "out").exists()


def test_problems_are_counted_and_written(tmp_path: Path) -> None:
    config = write_run(
        tmp_path, id=["1", "2", "3"], content_image=["a.png", "no.png", None], width=[64, 64, 5]
    )
    result = validate(config, "--fetch", "all", "--problems", tmp_path / "p.parquet")
    assert result.exit_code == 2
    text = " ".join(result.stdout.split())
    assert "uri_not_found content_image 1 1 2:" in text
    assert "invalid_request width 1 1 3:" in text
    assert "2 problems" in text
    assert pq.read_table(tmp_path / "p.parquet")["row_id"].to_pylist() == ["3", "2"]


def test_wrong_style_weights_are_one_kind(tmp_path: Path) -> None:
    config = write_run(
        tmp_path, id=["1", "2", "3"], style_image=["a.png"] * 3, style_weights=[[1.0], [3.0], []]
    )
    text = " ".join(validate(config).stdout.split())
    assert "invalid_request style_weights 2 2 2, 3: column style_weights[0]: 3.0" in text


def test_images_are_fetched_only_on_request(tmp_path: Path) -> None:
    config = write_run(tmp_path, id=["1"], content_image=["no.png"])
    result = validate(config)
    assert result.exit_code == 0
    assert "not fetched" in result.stdout


def test_a_sample_of_images(tmp_path: Path) -> None:
    config = write_run(tmp_path, content_image=[f"{n}.png" for n in range(9)])
    result = validate(config, "--fetch", 4)
    assert result.exit_code == 2
    assert "9 different, 4 fetched" in result.stdout
    assert "4 problems" in result.stdout


@pytest.mark.parametrize("fetch", ["0", "some", "-1"])
def test_a_sample_size_is_at_least_one(tmp_path: Path, fetch: str) -> None:
    assert validate(write_run(tmp_path, prompt=["a"]), "--fetch", fetch).exit_code == 2


def test_a_missing_model_is_reported(tmp_path: Path) -> None:
    config = write_run(tmp_path, prompt=["a"])
    result = validate(config, "--set", f"model.base={tmp_path}/none")
    assert result.exit_code == 0
    assert "sizes from 512 to 1536 pixels: assuming FLUX.1-dev's ranges" in result.stdout


@pytest.mark.parametrize("base", ["tiny:3", "tiny, LoRA at a URL", "folder", "URL"])
def test_the_limits_of_a_tiny_model_are_known(tmp_path: Path, base: str) -> None:
    config = write_run(tmp_path, prompt=["a"], width=[64], height=[64])
    write_tiny_checkpoint(tmp_path / "model")
    url = f"memory://{tmp_path.name}/{base}"
    fs = fsspec.filesystem("memory")
    fs.pipe_file(f"/{tmp_path.name}/URL/config.json", (tmp_path / "model/config.json").read_bytes())
    choices = {
        "tiny:3": ["model.base=tiny:3"],
        "tiny, LoRA at a URL": ["model.base=tiny", "model.loras=[{path: 's3://b/l.safetensors'}]"],
        "folder": [f"model.base={tmp_path}/model"],
        "URL": [f"model.base={url}"],
    }
    result = validate(config, *(f"--set={choice}" for choice in choices[base]))
    assert result.exit_code == 0, result.output
    assert "limits sizes from 16 to 256 pixels, as" in " ".join(result.stdout.split())


def test_a_missing_manifest_is_an_error(tmp_path: Path) -> None:
    result = validate(write_run(tmp_path, prompt=["a"]), "--set", f"manifest.path={tmp_path}/x.csv")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_json_has_the_same_problems(tmp_path: Path) -> None:
    config = write_run(tmp_path, id=["1", "2"], content_image=["a.png", "no.png"])
    result = validate(config, "--fetch", "all", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (document["rows"], document["fetched"], document["errors"]) == (2, 2, 1)
    (problem,) = document["problems"]
    assert (problem["kind"], problem["column"]) == ("uri_not_found", "content_image")
    assert problem["examples"] == ["2"]


def test_an_interrupted_check_resumes(tmp_path: Path) -> None:
    with http_origin.serving() as origin:
        images = [origin.on(f"/{n}.png", http_origin.ok(encode(picture(seed=n)))) for n in range(6)]
        config = write_run(tmp_path, content_image=[*images, origin.on("/7.png", interrupting)])
        config.write_text(
            config.read_text() + "fetch: {allow_private_networks: true, concurrency: 1}\n"
        )
        arguments = ("--fetch", "all", "--problems", tmp_path / "p.parquet")
        interrupted = uso_process("validate", config, *arguments)
        assert interrupted.returncode == 130, interrupted.stderr
        assert "Run the same command to resume." in interrupted.stderr
        assert not (tmp_path / "p.parquet").exists()
        assert len([*(tmp_path / "p.parquet.checked").iterdir()]) == 1
        origin.on("/7.png", http_origin.status(404))
        result = validate(config, *arguments)
    assert result.exit_code == 2, result.output
    assert "7 different, 7 fetched, 6 of them by an interrupted check" in result.stdout
    assert {origin.hits[f"/{n}.png"] for n in range(6)} == {1}
    assert pq.read_table(tmp_path / "p.parquet")["kind"].to_pylist() == ["uri_not_found"]
    assert not (tmp_path / "p.parquet.checked").exists()


def interrupting(_connection: socket.socket) -> None:
    """Interrupt the process that asks, in place of an answer."""
    for child in psutil.Process().children():  # servers of other tests are among them
        if "jobs.cli" in child.cmdline():
            child.send_signal(signal.SIGINT)
    time.sleep(1)


def uso_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.cli", *map(str, arguments)]
    # In the background of a shell, SIGINT is ignored, and children inherit that.
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.ray
@pytest.mark.timeout(200)
def test_images_are_checked_with_all_cpus(tmp_path: Path) -> None:
    config = write_run(tmp_path, id=["1", "2", "3"], content_image=["a.png", "no.png", "a.png"])
    here = validate(config, "--fetch", "all", "--json")
    # In a process of its own: Ray leaves variables in the environment of one that started it.
    with_ray = uso_process("validate", config, "--fetch", "all", "--cluster", "--json")
    assert with_ray.returncode == here.exit_code == 2, with_ray.stderr
    assert json.loads(with_ray.stdout) == json.loads(here.stdout)


def test_a_cluster_is_for_references(tmp_path: Path) -> None:
    config = write_run(tmp_path, prompt=["a"])
    assert "goes with --fetch" in validate(config, "--cluster").output
    result = validate(config, "--fetch", "all", "--cluster", "--set", "ray.address=none")
    assert result.exit_code == 2
    assert "ray.address: none does without Ray" in result.output
