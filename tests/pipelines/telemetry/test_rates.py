from __future__ import annotations

from pipelines.telemetry.rates import Rates, RateWindow


def test_nothing_is_known_at_first() -> None:
    assert RateWindow().rates(0, rows=0, images=0, drawing_s=0, ready=0) == Rates()


def test_rates_are_those_of_the_last_minute() -> None:
    window = RateWindow()
    for second in range(1, 201):
        rows = second if second <= 100 else 100 + 3 * (second - 100)
        rates = window.rates(second, rows=rows, images=2 * rows, drawing_s=0, ready=1)
    assert (rates.rows_per_s, rates.images_per_s) == (3, 6)


def test_busy_is_the_share_of_the_time_of_workers_that_are_ready() -> None:
    window = RateWindow()
    window.rates(10, rows=0, images=0, drawing_s=0, ready=0)  # the model loads
    window.rates(20, rows=9, images=9, drawing_s=9, ready=1)
    rates = window.rates(30, rows=30, images=30, drawing_s=24, ready=2)
    assert rates.device_busy == 24 / 30


def test_busy_is_not_known_without_workers_and_never_more_than_all() -> None:
    window = RateWindow()
    assert window.rates(5, rows=0, images=0, drawing_s=0, ready=0).device_busy is None
    assert window.rates(6, rows=1, images=1, drawing_s=9, ready=1).device_busy == 1
