from __future__ import annotations

import base64
import random
import time

import pytest

from pipelines.failures import RowFailedError
from pipelines.fetch.data_uri import read_data_uri
from tests.peak_memory import peaks

_PIECE = 2**20


def _escaped(data: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in data)


@pytest.mark.parametrize("size", [0, 1, _PIECE // 3])
@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_escapes_at_the_ends_of_pieces(size: int, before: str) -> None:
    data = random.Random(size).randbytes(size)
    assert read_data_uri(f"data:,{before}{_escaped(data)}", 10**7) == before.encode() + data


def test_base64_with_escapes_whitespace_and_no_padding() -> None:
    data = random.Random(0).randbytes(1000)
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    spaced = "%0A".join(text[place : place + 60] for place in range(0, len(text), 60))
    assert read_data_uri(f"data:image/png;base64,{spaced} \n", 1000) == data


@pytest.mark.parametrize("head", ["data:,", "data:;base64,"])
def test_data_just_over_the_limit_is_refused(head: str) -> None:
    def uri(size: int) -> str:
        data = b"a" * size
        return head + (base64.b64encode(data).decode() if "64" in head else data.decode())

    assert len(read_data_uri(uri(3000), 3000)) == 3000
    with pytest.raises(RowFailedError, match="uri_too_large") as raised:
        read_data_uri(uri(3006), 3000)
    assert len(str(raised.value)) < 300


def percent_encoded() -> None:
    with pytest.raises(RowFailedError):
        read_data_uri("data:," + "%41" * 7_000_000, 2_000_000)


def spaces() -> None:
    with pytest.raises(RowFailedError):
        read_data_uri("data:;base64," + "A " * 10_000_000, 2_000_000)


def test_a_long_uri_costs_little_time_and_memory() -> None:
    began = time.monotonic()
    found = peaks(__name__, ["percent_encoded", "spaces"])
    assert max(found.values()) < 120, found
    assert time.monotonic() - began < 30
