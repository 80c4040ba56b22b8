from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.fuzzed import EXAMPLES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.fuzz)


@pytest.fixture(scope="session", autouse=True)
def examples_written() -> Iterator[None]:
    """Write the number of examples by test at the end, for `python -m tests.fuzz`."""
    yield
    target = os.environ.get("USO_FUZZ_COUNTS")
    if target is not None:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(json.dumps(EXAMPLES) + "\n")
