from __future__ import annotations

from typing import Any

import pytest

from tests.uso_core.goldens import unit_rows
from tests.uso_core.tracing import record_calls
from uso_core.pipeline import USOPipeline
from uso_core.request import StylizeRequest

ROWS = unit_rows("tokenization")


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_tokens_are_the_originals(row: dict[str, Any], golden_pipeline: USOPipeline) -> None:
    with record_calls(golden_pipeline) as calls:
        conditioning = golden_pipeline.condition(StylizeRequest(prompt=row["prompt"]))
    t5_ids = calls.kwargs["t5"][0]["input_ids"][0].tolist()
    clip_ids = calls.kwargs["clip"][0]["input_ids"][0].tolist()
    assert t5_ids == row["t5_ids"] + [row["t5_pad"][0]] * row["t5_pad"][1]
    assert clip_ids == row["clip_ids"] + [row["clip_pad"][0]] * row["clip_pad"][1]
    if row["t5_pad"][1]:
        assert not conditioning.prompt_truncated


def test_the_table_has_prompts_that_ftfy_changes() -> None:
    assert sum(row["ftfy_changes_prompt"] for row in ROWS) >= 4


@pytest.mark.parametrize(("words", "truncated"), [(50, False), (600, True)])
def test_a_prompt_that_is_too_long_is_flagged(
    words: int, truncated: bool, golden_pipeline: USOPipeline
) -> None:
    conditioning = golden_pipeline.condition(StylizeRequest(prompt="cat " * words))
    assert conditioning.prompt_truncated is truncated


def test_the_last_token_that_fits_is_not_flagged(golden_pipeline: USOPipeline) -> None:
    tokenizer = golden_pipeline.components.tokenizer_2
    words = next(n for n in range(512) if len(tokenizer("a " * n).input_ids) == 512)
    assert not golden_pipeline.condition(StylizeRequest(prompt="a " * words)).prompt_truncated
    assert golden_pipeline.condition(StylizeRequest(prompt="a " * (words + 1))).prompt_truncated
