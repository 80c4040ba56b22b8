"""Packages that an actor does without."""

from __future__ import annotations

import hashlib
import sys
from importlib import import_module

import pytest

from pipelines.worker.absent import UNUSED, absent
from tests.fresh_interpreter import printed_by
from tests.pipelines.tiny_models import tiny
from uso_core.request import StylizeRequest

REQUEST = StylizeRequest(prompt="a boat", width=64, height=64, num_steps=2, seed=3)
DRAW_IN_AN_ACTOR = f"""
import hashlib, sys
from pipelines.config.model import ModelConfig
from pipelines.worker.loading import load_pipeline
from uso_core.request import StylizeRequest
pipeline = load_pipeline(ModelConfig(base="tiny", device="cpu"), {{}}, 1, alone=True)
print(hashlib.sha256(pipeline([{REQUEST!r}])[0].image.tobytes()).hexdigest())
print(*{{name.split(".")[0] for name in sys.modules}})
"""


def test_a_package_is_absent_in_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tabnanny", raising=False)
    with absent(["tabnanny"]), pytest.raises(ModuleNotFoundError, match="tabnanny"):
        import_module("tabnanny")
    assert import_module("tabnanny").__name__ == "tabnanny"


def test_a_loaded_package_stays() -> None:
    with absent(["pytest"]):
        assert sys.modules["pytest"] is pytest
    assert sys.modules["pytest"] is pytest


def test_an_actor_loads_no_unused_package_and_draws_the_same() -> None:
    drawn, modules = printed_by(DRAW_IN_AN_ACTOR).splitlines()
    assert set(UNUSED).isdisjoint(modules.split())
    image = tiny()([REQUEST])[0].image
    assert drawn == hashlib.sha256(image.tobytes()).hexdigest()
