"""The cost of importing, in a process of its own."""

from __future__ import annotations

import pytest

import uso_core
from tests.fresh_interpreter import loaded_after


def test_names_without_models_are_light() -> None:
    statement = "from uso_core import StylizeRequest, Limits, InvalidRequestError"
    heavy = {"torch", "transformers", "diffusers", "numpy", "ray", "pyarrow", "fsspec", "pipelines"}
    assert loaded_after(statement).isdisjoint(heavy)


def test_checkpoints_are_described_without_torch() -> None:
    assert loaded_after("from uso_core import ModelSource, describe_model").isdisjoint(
        {"torch", "transformers", "diffusers", "ray", "huggingface_hub"}
    )


def test_every_public_name_is_there() -> None:
    for name in uso_core.__all__:
        assert getattr(uso_core, name).__name__ == name
        assert name in dir(uso_core)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'USO'"):
        uso_core.USO  # noqa: B018 - the access is the test
