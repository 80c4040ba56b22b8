from __future__ import annotations

import pytest

from pipelines.config.cluster import StylizeConfig
from pipelines.dispatch.tasks import DispatchPolicy
from uso_core.loading.dimensions import EncodingCosts


@pytest.mark.parametrize(
    ("given", "most", "fixed"),
    [
        ({}, 8, None),
        ({"max_rows_in_flight": 32}, 32, None),
        ({"rows_in_flight": 3}, 3, 3),
        ({"rows_in_flight": 64, "max_rows_in_flight": 16}, 64, 64),
    ],
    ids=["default", "bounded", "fixed below the bound", "fixed above the bound"],
)
def test_a_fixed_number_of_rows_overrides_the_bound_of_auto(
    given: dict[str, int], most: int, fixed: int | None
) -> None:
    config = StylizeConfig.model_validate(given)
    policy = DispatchPolicy.from_config(config, EncodingCosts())
    assert config.most_rows_in_flight == most
    assert (policy.rows_in_flight, policy.max_rows_in_flight) == (fixed, most)
