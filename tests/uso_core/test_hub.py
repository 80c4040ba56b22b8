"""Each case runs in a process of its own, since the Hub's client reads its settings on import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.uso_core.checkpoints import link_checkpoint
from tests.uso_core.fake_hub import COMMIT, FakeHub
from tests.uso_core.goldens import CHECKPOINT

PROGRAM = """
import json, sys
from dataclasses import asdict
from uso_core.checkpoint import ModelSource, describe_model, find_model, pin_revisions
from uso_core.errors import CheckpointError
def answer(step, source):
    try:
        if step == "describe":
            return asdict(describe_model(source))
        if step == "pin":
            return asdict(pin_revisions(source))
        parts = find_model(source).downloaded().parts
        return {name: [str(part.path(n)) for n in part.names] for name, part in parts.items()}
    except CheckpointError as error:
        return {"path": error.path, "reason": error.reason}
print(json.dumps([answer(step, ModelSource(**source)) for step, source in json.loads(sys.argv[1])]))
"""

DIFFUSERS = {
    "flux1-dev.safetensors": "transformer/diffusion_pytorch_model.safetensors",
    "ae.safetensors": "vae/diffusion_pytorch_model.safetensors",
    "t5/model.safetensors": "text_encoder_2/model.safetensors",
    "t5/config.json": "text_encoder_2/config.json",
    "t5": "tokenizer_2",
    "clip/model.safetensors": "text_encoder/model.safetensors",
    "clip/config.json": "text_encoder/config.json",
    "clip": "tokenizer",
}
HUB_IDS = {"base": "jane/flux", "uso": "jane/uso", "siglip": "jane/siglip"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    """Three repositories as they are at the Hub, with files that are not wanted among them."""
    flux = link_checkpoint(tmp_path / "hub" / "flux", DIFFUSERS)
    for name in ("model_index.json", "transformer/config.json", "vae/config.json"):
        (flux / name).write_text(json.dumps(name))
    (flux / "flux1-dev.safetensors").write_bytes(b"the same weights again")
    uso, siglip = tmp_path / "hub" / "uso", tmp_path / "hub" / "siglip"
    for folder, names in ((uso, ("dit_lora", "projector")), (siglip, ())):
        folder.mkdir()
        for name in names:
            (folder / "uso_flux_v1.0").mkdir(exist_ok=True)
            file = f"{name}.safetensors"
            (folder / "uso_flux_v1.0" / file).symlink_to(CHECKPOINT / file)
            (flux / file).unlink()
    for path in (CHECKPOINT / "siglip").iterdir():
        (siglip / path.name).symlink_to(path)
        (flux / "siglip" / path.name).unlink()
    (uso / "teaser.png").write_bytes(b"not wanted")
    with FakeHub({"jane/flux": flux, "jane/uso": uso, "jane/siglip": siglip}).serving() as served:
        yield served


class Client:
    """Runs `PROGRAM` with a Hub cache of its own."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self.home = home
        self.environment = {
            **os.environ,
            "HF_HOME": str(home),
            "HF_ENDPOINT": endpoint,
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def __call__(self, step: str, *, offline: bool = False, **source: str) -> dict[str, Any]:
        """What one step answers for `HUB_IDS`, changed by `source`."""
        return self.each([(step, source)], offline=offline)[0]

    def each(
        self, steps: Sequence[tuple[str, dict[str, str]]], *, offline: bool = False
    ) -> list[dict[str, Any]]:
        """What several steps answer, in one process."""
        asked = [(step, HUB_IDS | source) for step, source in steps]
        environment = self.environment | ({"HF_HUB_OFFLINE": "1"} if offline else {})
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(asked)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers


@pytest.fixture
def client(hub: FakeHub, tmp_path: Path) -> Client:
    return Client(tmp_path / "cache", hub.url)


def test_describing_downloads_nothing(hub: FakeHub, client: Client) -> None:
    card, pinned = client.each([("describe", {}), ("describe", {"base_revision": COMMIT})])
    assert (card["name"], card["layout"]) == ("jane/flux", "diffusers")
    assert card["limits"]["default_size"] == 1024
    assert pinned == card
    assert hub.downloads == []


def test_revisions_are_pinned_to_commits(client: Client) -> None:
    pinned, tiny = client.each([("pin", {}), ("pin", {"base": "tiny"})])
    assert [pinned[f"{name}_revision"] for name in HUB_IDS] == [COMMIT] * 3
    assert tiny["base_revision"] is None


def test_downloads_what_is_needed_and_then_needs_no_hub(hub: FakeHub, client: Client) -> None:
    card, paths = client.each([("describe", {}), ("download", {})])
    assert len(paths) == 10
    files = [Path(path) for part in paths.values() for path in part]
    assert all(file.is_file() and COMMIT in file.parts for file in files)
    assert len(hub.downloads) == len(set(files))
    assert not any(path.endswith(("flux1-dev.safetensors", ".png")) for path in hub.downloads)

    steps = [("describe", HUB_IDS), ("download", HUB_IDS)]
    assert client.each(steps, offline=True) == [card, paths]
    hub.refusals["jane/flux"] = (403, "GatedRepo")
    assert client.each(steps) == [card, paths]


def test_out_of_reach_and_not_in_the_cache(client: Client) -> None:
    error = client("describe", offline=True)
    assert error["path"] == "jane/flux"
    assert "HF_HUB_OFFLINE" in error["reason"]
    assert "`hf download jane/flux`" in error["reason"]


@pytest.mark.parametrize("step", ["describe", "download"])
def test_a_gated_repository(hub: FakeHub, client: Client, step: str) -> None:
    hub.refusals["jane/flux"] = (403, "GatedRepo")
    error = client(step)
    assert error["path"] == "jane/flux"
    assert (
        "accept its licence at https://huggingface.co/jane/flux and set HF_TOKEN"
        in (error["reason"])
    )


def test_no_such_repository(client: Client) -> None:
    error = client("describe", uso="jane/usso")
    assert error["path"] == "jane/usso"
    assert "neither such a folder nor such a repository" in error["reason"]


def test_no_such_revision(client: Client) -> None:
    error = client("describe", base_revision="v9")
    assert error["path"] == "jane/flux"
    assert "has no revision 'v9'" in error["reason"]


def test_a_file_missing_at_the_hub(hub: FakeHub, client: Client) -> None:
    (hub.folders["jane/siglip"] / "preprocessor_config.json").unlink()
    error = client("describe")
    assert error["path"] == "jane/siglip"
    assert "lacks image_processor (preprocessor_config.json" in error["reason"]


def test_a_hub_in_trouble(hub: FakeHub, client: Client) -> None:
    hub.refusals["jane/flux"] = (418, "Teapot")
    assert "the Hub answers 418" in client("describe")["reason"]
