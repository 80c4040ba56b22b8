from __future__ import annotations

from pathlib import Path

import pytest

from tests import second_model
from tests.fresh_interpreter import loaded_after
from tests.second_model import PAINTED
from tests.uso_core.goldens import CHECKPOINT
from uso_core.errors import CheckpointError
from uso_core.families import assumed_card, describe_model, family_in, family_named, family_of
from uso_core.families.flux import USO_ON_FLUX
from uso_core.loading.listing import list_files
from uso_core.loading.source import ModelSource
from uso_core.request import Limits


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    second_model.install(monkeypatch)


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    """A checkpoint of the second family."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / second_model.MARK).write_text("{}")
    return folder


@pytest.mark.parametrize("base", ["tiny", "tiny:3", str(CHECKPOINT)])
@pytest.mark.usefixtures("both")
def test_checkpoints_that_no_other_family_recognizes_are_uso_on_flux(base: str) -> None:
    assert family_of(ModelSource(base)) is USO_ON_FLUX


@pytest.mark.usefixtures("both")
def test_a_family_is_found_by_its_name_or_by_its_files(painted: Path) -> None:
    assert family_of(ModelSource(second_model.BASE)) is PAINTED
    assert family_of(ModelSource(str(painted))) is PAINTED
    assert family_in(list_files(str(painted), None)) is PAINTED
    assert describe_model(ModelSource(str(painted))).limits == second_model.LIMITS


@pytest.mark.usefixtures("both")
def test_records_name_their_family() -> None:
    names = ["painted", "tiny:0", "black-forest-labs/FLUX.1-dev", "my-folder"]
    assert [family_named(name) for name in names] == [PAINTED, *[USO_ON_FLUX] * 3]


def test_one_family_needs_no_listing_so_a_missing_folder_is_its_own_error(tmp_path: Path) -> None:
    source = ModelSource(f"{tmp_path}/none")
    assert family_of(source) is USO_ON_FLUX
    with pytest.raises(CheckpointError, match="none"):
        describe_model(source)


@pytest.mark.usefixtures("both")
def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="none"):
        family_of(ModelSource(f"{tmp_path}/none"))


def test_uso_on_flux_recognizes_its_layouts(painted: Path) -> None:
    assert USO_ON_FLUX.recognizes(list_files(str(CHECKPOINT), None))
    assert not USO_ON_FLUX.recognizes(list_files(str(painted), None))


def test_a_model_not_seen_yet_gets_the_usual_limits() -> None:
    assert assumed_card("s3://bucket/model").limits == Limits()


def test_the_registry_costs_no_torch() -> None:
    heavy = {"torch", "diffusers", "transformers", "huggingface_hub"}
    assert loaded_after("import uso_core.families").isdisjoint(heavy)
