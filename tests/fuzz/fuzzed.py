"""Settings of the fuzz tests: a few repeatable examples in the default suite, or many new ones.

`python -m tests.fuzz` (`make fuzz`) sets `USO_FUZZ=long`.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_SHORT = settings(max_examples=30, derandomize=True, deadline=None)
_LONG = settings(
    max_examples=250,
    derandomize=False,
    deadline=20_000,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
_SETTINGS = _LONG if os.environ.get("USO_FUZZ") == "long" else _SHORT

EXAMPLES: Counter[str] = Counter()
"""Number of examples of each test."""

Test = Callable[..., None]


def fuzzed(
    *strategies: st.SearchStrategy[Any], few: int | None = None, **named: st.SearchStrategy[Any]
) -> Callable[[Test], Test]:
    """Run a test repeatedly with these arguments, and count its examples.

    Args:
        strategies: the arguments.
        few: the number of examples in the default suite, for a test that is slow.
        named: arguments by name.
    """
    chosen = _SETTINGS
    if few is not None and chosen is _SHORT:
        chosen = settings(_SHORT, max_examples=few)

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def counting(*args: object, **kwargs: object) -> None:
            EXAMPLES[test.__name__] += 1
            test(*args, **kwargs)

        return chosen(given(*strategies, **named)(counting))

    return decorate
