from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pipelines.manifest.manifest import Manifest
from pipelines.tools.validation.uses import AllReferences, SampledReferences, Use, Wanted
from tests.pipelines.manifests import opened, write


@pytest.fixture(scope="module")
def names() -> list[list[str]]:
    """The style images of 9,000 rows, of which most repeat."""
    chosen = np.random.default_rng(1).integers(0, 700, (9000, 2)) ** 2
    return [[f"/{n}.png" for n in row] for row in chosen.tolist()]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, names: list[list[str]]) -> Manifest:
    path = tmp_path_factory.mktemp("rows") / "m.parquet"
    ids = [str(n) for n in range(len(names))]
    return opened(write(path, {"id": ids, "style_images": names}))


def uses_of(wanted: Wanted) -> list[Use]:
    return [use for some in wanted.first_uses() for use in some]


def test_each_reference_comes_once_with_its_first_row(
    manifest: Manifest, names: list[list[str]]
) -> None:
    wanted = AllReferences(manifest)
    first = {name: str(row) for row, some in reversed([*enumerate(names)]) for name in some}
    uses = uses_of(wanted)
    assert {str(use.reference): use.row_id for use in uses} == first
    assert [int(use.row_id) for use in uses] == sorted(int(use.row_id) for use in uses)
    counted = Counter(name for some in names for name in some)
    assert {str(use.reference): wanted.rows(use.key) for use in uses} == dict(counted)


@pytest.mark.parametrize("most", [1, 50, 699, 700, 10_000])
def test_a_sample_has_the_rows_of_all(
    manifest: Manifest, names: list[list[str]], most: int
) -> None:
    every, sample = AllReferences(manifest), SampledReferences(manifest, most)
    all_uses, sampled = uses_of(every), uses_of(sample)
    assert len(sampled) == len(sample) == min(most, len(all_uses))
    smallest = sorted(use.key for use in all_uses)[:most]
    assert sorted(use.key for use in sampled) == smallest
    assert [use for use in all_uses if use.key in set(smallest)] == sampled
    for use in sampled:
        assert sample.rows(use.key) == every.rows(use.key)
