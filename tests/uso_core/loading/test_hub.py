"""Clients run in processes of their own, because the Hub's client reads its settings on import."""

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

PROGRAM = """
import json, sys
from dataclasses import asdict
from uso_core.loading.source import ModelSource, describe_model, find_model, pin_revisions
from uso_core.errors import CheckpointError
def answer(step, source):
    try:
        if step == "describe":
            return asdict(describe_model(source))
        if step == "pin":
            return asdict(pin_revisions(source))
        parts = find_model(source).downloaded().components
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


def link_repositories(folder: Path) -> dict[str, Path]:
    """Link three repositories in the Hub's structure, including files that are not needed."""
    flux = link_checkpoint(folder / "flux", DIFFUSERS)
    for name in ("model_index.json", "transformer/config.json", "vae/config.json"):
        (flux / name).write_text(json.dumps(name))
    (flux / "flux1-dev.safetensors").write_bytes(b"the same weights again")
    uso, siglip = folder / "uso", folder / "siglip"
    for name in ("dit_lora.safetensors", "projector.safetensors"):
        (uso / "uso_flux_v1.0").mkdir(parents=True, exist_ok=True)
        (flux / name).rename(uso / "uso_flux_v1.0" / name)
    (flux / "siglip").rename(siglip)
    (uso / "teaser.png").write_bytes(b"not wanted")
    return {"jane/flux": flux, "jane/uso": uso, "jane/siglip": siglip}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    folders = link_repositories(tmp_path_factory.mktemp("hub"))
    partial = tmp_path_factory.mktemp("partial")
    (partial / "config.json").write_text("{}")
    others = {"jane/gated": folders["jane/flux"], "jane/teapot": folders["jane/flux"]}
    refusals = {"jane/gated": (403, "GatedRepo"), "jane/teapot": (418, "Teapot")}
    with FakeHub(folders | others | {"jane/partial": partial}, refusals).serving() as served:
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

    def each(
        self, steps: Sequence[tuple[str, dict[str, str]]], *, offline: bool = False
    ) -> list[dict[str, Any]]:
        """Run steps, each on its source, in one process; return their results."""
        environment = self.environment | ({"HF_HUB_OFFLINE": "1"} if offline else {})
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(steps)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers


def test_downloads_what_is_needed_and_then_needs_no_hub(tmp_path: Path) -> None:
    steps = [("describe", HUB_IDS), ("download", HUB_IDS)]
    with FakeHub(link_repositories(tmp_path / "hub")).serving() as hub:
        client = Client(tmp_path / "cache", hub.url)
        card, paths = client.each(steps)
        assert len(paths) == 10
        files = [Path(path) for part in paths.values() for path in part]
        assert all(file.is_file() and COMMIT in file.parts for file in files)
        assert len(hub.downloads) == len(set(files))
        assert not any(path.endswith(("flux1-dev.safetensors", ".png")) for path in hub.downloads)

        assert client.each(steps, offline=True) == [card, paths]
        hub.refusals["jane/flux"] = (403, "GatedRepo")
        assert client.each(steps) == [card, paths]


STEPS: dict[str, tuple[str, dict[str, str]]] = {
    "card": ("describe", {}),
    "card_of_commit": ("describe", {"base_revision": COMMIT}),
    "pinned": ("pin", {}),
    "pinned_tiny": ("pin", {"base": "tiny"}),
    "gated": ("describe", {"base": "jane/gated"}),
    "gated_download": ("download", {"base": "jane/gated"}),
    "no_repository": ("describe", {"uso": "jane/usso"}),
    "no_revision": ("describe", {"base_revision": "v9"}),
    "not_an_id": ("describe", {"base": "jane/flux--dev"}),
    "partial": ("describe", {"siglip": "jane/partial"}),
    "teapot": ("describe", {"base": "jane/teapot"}),
}


@pytest.fixture(scope="module")
def answers(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Run every step in one process; return the results."""
    client = Client(tmp_path_factory.mktemp("cache"), hub.url)
    before = len(hub.downloads)
    answers = client.each([(step, HUB_IDS | source) for step, source in STEPS.values()])
    assert len(hub.downloads) == before, "none of these steps may download"
    return dict(zip(STEPS, answers, strict=True))


def test_describes_what_is_at_the_hub(answers: dict[str, dict[str, Any]]) -> None:
    card = answers["card"]
    assert (card["name"], card["layout"]) == ("jane/flux", "diffusers")
    assert card["limits"]["default_size"] == 1024
    assert answers["card_of_commit"] == card


def test_revisions_are_pinned_to_commits(answers: dict[str, dict[str, Any]]) -> None:
    assert [answers["pinned"][f"{name}_revision"] for name in HUB_IDS] == [COMMIT] * 3
    assert answers["pinned_tiny"]["base_revision"] is None


@pytest.mark.parametrize(
    ("step", "path", "reason"),
    [
        ("gated", "jane/gated", "accept its licence at https://huggingface.co/jane/gated"),
        ("gated_download", "jane/gated", "set HF_TOKEN to a token of the account that did"),
        ("no_repository", "jane/usso", "no such folder, and no such repository on the Hub"),
        ("no_revision", "jane/flux", "has no revision 'v9'"),
        ("not_an_id", "jane/flux--dev", "not the name of a Hub repository"),
        ("partial", "jane/partial", "lacks image_encoder (model.safetensors or pytorch_model.bin"),
        ("teapot", "jane/teapot", "the Hub answers 418"),
    ],
)
def test_errors_say_what_to_do(
    answers: dict[str, dict[str, Any]], step: str, path: str, reason: str
) -> None:
    assert answers[step]["path"] == path
    assert reason in answers[step]["reason"]


def test_out_of_reach_and_not_in_the_cache(hub: FakeHub, tmp_path: Path) -> None:
    (error,) = Client(tmp_path, hub.url).each([("describe", HUB_IDS)], offline=True)
    assert error["path"] == "jane/flux"
    assert "HF_HUB_OFFLINE" in error["reason"]
    assert "`hf download jane/flux`" in error["reason"]
