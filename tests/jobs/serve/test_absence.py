"""The time without an answer from a server."""

from __future__ import annotations

import pytest

from pipelines.errors import ClusterError
from pipelines.through.absence import Absence
from tests.clock import Clock


def test_a_run_ends_once_the_server_is_away_for_too_long_without_a_break() -> None:
    clock = Clock()
    absence = Absence("http://gpu-1:8000", 10, clock)
    absence.begin("refused")
    clock.now += 8
    absence.end()
    absence.begin("refused")
    clock.now += 8
    absence.begin("reset")
    absence.check()
    clock.now += 3
    with pytest.raises(ClusterError, match=r"http://gpu-1:8000: .* not answered for 10 s"):
        absence.check()
