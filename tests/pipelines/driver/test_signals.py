from __future__ import annotations

import signal

import pytest

from pipelines.driver.signals import StopRequest

both = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@both
def test_while_nothing_is_under_way_a_signal_interrupts(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), StopRequest():
        signal.raise_signal(number)


@both
def test_the_first_signal_is_a_request_the_second_interrupts(number: signal.Signals) -> None:
    with StopRequest() as stop:
        stop.let_rows_end()
        signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


@both
def test_another_taker_is_taken_back_from_and_all_is_as_before(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        stop.let_rows_end()
        signal.signal(number, signal.SIG_IGN)  # as Ray does with a handler of its own
        stop.install()
        signal.raise_signal(number)
        assert stop.requested
    assert signal.getsignal(number) == before
