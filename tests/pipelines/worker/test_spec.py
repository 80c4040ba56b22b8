from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from pipelines.worker.spec import StylizerSpec
from tests.pipelines.worker.stylizing import config_for


def test_the_spec_is_picklable_and_shows_no_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET", "hidden")
    config = config_for(tmp_path, storage={"s3": {"secret": "${S3_SECRET}"}})
    spec = StylizerSpec.from_config(config)
    assert spec.storage == {"s3": {"secret": "hidden"}}
    assert "hidden" not in repr(spec)
    assert pickle.loads(pickle.dumps(spec)) == spec
    monkeypatch.delenv("S3_SECRET")
    with pytest.raises(ValueError, match="S3_SECRET"):
        StylizerSpec.from_config(config)


@pytest.mark.parametrize(
    ("stylize", "device", "threads"),
    [
        ({"gpus_per_actor": 0, "cpus_per_actor": 0.5}, "cpu", 1),
        ({"gpus_per_actor": 1, "cpus_per_actor": 3.9}, "cuda", 3),
    ],
)
def test_the_spec_settles_device_and_threads(
    tmp_path: Path, stylize: dict[str, float], device: str, threads: int
) -> None:
    spec = StylizerSpec.from_config(config_for(tmp_path, stylize=stylize))
    assert (spec.model.device, spec.torch_threads) == (device, threads)


def test_the_spec_does_not_depend_on_the_folder_it_is_used_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    monkeypatch.chdir(tmp_path)
    model = {"base": "weights", "uso": "owner/repo", "siglip": "s3://bucket/siglip"}
    config = config_for(Path("out"), model=model, fetch={"local_roots": ["images"]})
    spec = StylizerSpec.from_config(config)
    assert spec.output is not None
    assert spec.output.path == str(tmp_path / "out")
    assert spec.fetch.local_roots == [str(tmp_path / "images")]
    assert spec.model.base == str(tmp_path / "weights")
    assert (spec.model.uso, spec.model.siglip) == ("owner/repo", "s3://bucket/siglip")
    remote = config_for(tmp_path, output={"path": "s3://bucket/out"})
    output = StylizerSpec.from_config(remote).output
    assert output is not None
    assert output.path == "s3://bucket/out"
