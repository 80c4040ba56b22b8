from __future__ import annotations

import pytest
import torch

from pipelines.worker.device_streams import HostMarker, HostStream, Timing, device_streams


def test_a_cpu_has_one_stream() -> None:
    assert device_streams(torch.device("cpu"), beside=True).decoding is None


def test_a_cpu_has_reached_every_marker() -> None:
    stream = HostStream()
    begin = stream.mark()
    stream.follow(begin)
    end = stream.mark()
    end.wait()
    assert end.ms_since(begin) >= 0


def test_a_timing_is_shared_by_its_images() -> None:
    begin, end = HostMarker(1.0), HostMarker(1.02)
    assert Timing(begin, end).ms == pytest.approx(20)
    assert Timing(begin, end, images=4).ms == pytest.approx(5)
