from __future__ import annotations

import pickle

import pytest

from uso_core.errors import CheckpointError, InvalidRequestError, NoSuchDeviceError, UsoError


@pytest.mark.parametrize(
    "error",
    [
        UsoError("what happened"),
        NoSuchDeviceError("device cuda: none is there"),
        InvalidRequestError("width", 2000, "512 to 1536"),
        CheckpointError("weights/ae.safetensors", "key decoder.conv_in.bias is missing"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickle(error: UsoError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_messages_say_what_and_where_and_what_is_accepted() -> None:
    error = InvalidRequestError("width", 2000, "512 to 1536")
    assert str(error) == "width: 2000 is not accepted; give 512 to 1536"
    assert str(CheckpointError("a.safetensors", "is empty")) == "a.safetensors: is empty"
