"""The rule that gives rows further tries, simulated until no row gets another one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.driver.schedule import RecordedTries, Rule, rows_to_try

RULE = Rule(by="structure", n=4, lower_is_better=False, until=0.5, max_extra=None)
NONE = np.zeros(0, bool)


class Output:
    """Rows whose tries have scores that are fixed in advance, `[rows, n]`."""

    def __init__(self, scores: list[list[float]], images: list[int] | None = None) -> None:
        self.truth = np.array(scores)
        self.drawn = np.ones(len(scores), np.int64)
        self.images = np.array(images or [1] * len(scores), np.int64)

    def pending(self, rule: Rule) -> list[int]:
        known = np.arange(self.truth.shape[1])[None] < self.drawn[:, None]
        scores = np.where(known, self.truth, np.nan)[:, : rule.n]
        better = np.nanmin if rule.lower_is_better else np.nanmax
        kept = np.array([np.nan if np.isnan(row).all() else better(row) for row in scores])
        tries = RecordedTries(scores, kept, self.drawn, self.images)
        rows: list[int] = rows_to_try(tries, rule, np.zeros(len(self.drawn), bool)).tolist()
        return rows

    def work(self, rule: Rule, most: int | None = None, *, backwards: bool = False) -> int:
        """Draw tries in some order, with a look at the records after each `most`; count them."""
        count = 0
        while rows := self.pending(rule):
            for row in (rows[::-1] if backwards else rows)[:most]:
                self.drawn[row] += 1
                count += 1
        return count


def noise(rows: int, n: int = 4) -> list[list[float]]:
    levels: list[list[float]] = np.random.default_rng(7).uniform(0, 1, (rows, n)).tolist()
    return levels


def test_a_row_is_tried_until_it_is_good_enough_or_has_had_its_tries() -> None:
    output = Output([[0.6, 0, 0, 0], [0.1, 0.2, 0.7, 0], [0.1, 0.1, 0.1, 0.1], [0.5, 0, 0, 0]])
    assert output.work(RULE) == 5
    assert output.drawn.tolist() == [1, 3, 4, 1]


def test_a_lower_score_may_be_the_better_one() -> None:
    rule = replace(RULE, lower_is_better=True)
    output = Output([[0.6, 0.4, 0, 0], [0.5, 0, 0, 0], [0.9, 0.8, 0.7, 0.6]])
    output.work(rule)
    assert output.drawn.tolist() == [2, 1, 4]


def test_the_worst_rows_go_first_and_equal_ones_in_the_order_of_their_ids() -> None:
    output = Output([[0.3] * 4, [0.1] * 4, [0.2] * 4, [0.1] * 4])
    assert output.pending(RULE) == [1, 3, 2, 0]


@pytest.mark.parametrize("budget", [0, 1, 7, 30, 100])
def test_a_budget_is_kept_and_used(budget: int) -> None:
    output = Output(noise(50))
    unbounded = Output(noise(50)).work(RULE)
    assert output.work(replace(RULE, max_extra=budget)) == min(budget, unbounded)


def test_a_row_with_several_images_costs_as_many() -> None:
    output = Output([[0.1] * 4, [0.2] * 4], images=[3, 1])
    output.work(replace(RULE, max_extra=5))
    assert output.drawn.tolist() == [2, 2]  # it ends with the first row that does not fit


@pytest.mark.parametrize("budget", [None, 10, 23])
@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("backwards", [False, True])
def test_neither_the_order_nor_interruptions_change_anything(
    budget: int | None, most: int, *, backwards: bool
) -> None:
    rule = replace(RULE, max_extra=budget)
    straight, broken = Output(noise(30)), Output(noise(30))
    straight.work(rule)
    broken.work(rule, most, backwards=backwards)
    assert broken.drawn.tolist() == straight.drawn.tolist()


def test_a_row_without_a_score_is_left_alone() -> None:
    output = Output([[float("nan")] * 4, [0.1, float("nan"), 0.7, 0]])
    output.work(RULE)
    assert output.drawn.tolist() == [1, 3]


def test_a_row_that_has_failed_waits_and_keeps_its_part_of_the_budget() -> None:
    ones = np.ones(2, np.int64)
    tries = RecordedTries(np.full((2, 4), 0.1), np.full(2, 0.1), ones, ones)
    rule = replace(RULE, max_extra=1)
    assert rows_to_try(tries, rule, np.array([False, False])).tolist() == [0]
    assert rows_to_try(tries, rule, np.array([True, False])).tolist() == []


def test_more_tries_or_a_stricter_line_go_on_from_the_records() -> None:
    output = Output(noise(30))
    output.work(replace(RULE, n=2))
    output.work(replace(RULE, until=0.8))
    at_once = Output(noise(30))
    at_once.work(replace(RULE, until=0.8))
    assert output.drawn.tolist() == at_once.drawn.tolist()


def test_the_kept_try_counts_even_if_an_image_that_is_gone_had_a_better_score() -> None:
    scores = np.array([[0.9, 0.2, np.nan, np.nan], [0.2, 0.9, np.nan, np.nan]])
    tries = RecordedTries(scores, np.array([0.2, 0.9]), np.array([2, 2]), np.array([1, 1]))
    assert rows_to_try(tries, replace(RULE, until=0.5), np.zeros(2, bool)).tolist() == [0]


def test_an_empty_output_has_no_tries() -> None:
    none = np.empty(0, np.int64)
    tries = RecordedTries(np.empty((0, 4)), np.empty(0), none, none)
    assert rows_to_try(tries, RULE, NONE).tolist() == []
