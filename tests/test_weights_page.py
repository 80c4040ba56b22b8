"""docs/weights.md names the files that the loader needs, and the sizes of their tensors."""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path

import pytest

from uso_core.loading.source import ModelSource

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
MEMORY = {
    name: (float(billions), int(width), float(gigabytes))
    for name, billions, width, gigabytes in re.findall(
        r"^\| ([^|]+) \| ([\d.]+) billion \| b?float(\d\d) \| ([\d.]+) \|$", PAGE, re.MULTILINE
    )
}


def test_the_repositories_are_those_that_are_loaded_by_default() -> None:
    default = ModelSource("black-forest-labs/FLUX.1-dev")
    for repository in (default.base, default.uso, default.siglip):
        assert f"| `{repository}` |" in PAGE


@pytest.mark.parametrize(
    ("row", "keys"),
    [
        ("transformer, LoRA merged", "transformer"),
        ("VAE", "ae"),
        ("style projector", "projector"),
    ],
)
def test_parameters_are_those_of_the_real_files(row: str, keys: str) -> None:
    file = ROOT / "tests" / "goldens" / "units" / f"real_keys_{keys}.json"
    shapes = json.loads(file.read_text(encoding="utf-8"))
    parameters = sum(prod(shape) for shape in shapes.values())
    billions, width, gigabytes = MEMORY[row]
    assert billions == round(parameters / 1e9, 2)
    assert gigabytes == round(parameters * width / 8 / 1e9, 2)


def test_the_sum_is_that_of_its_rows() -> None:
    assert len(MEMORY) == 6
    total = re.search(r"^\| total \| ([\d.]+) billion \| \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert total is not None
    assert float(total[1]) == pytest.approx(sum(row[0] for row in MEMORY.values()), abs=0.011)
    assert float(total[2]) == pytest.approx(sum(row[2] for row in MEMORY.values()), abs=0.011)
