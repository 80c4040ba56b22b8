"""The licence of a base model, from its card or its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from uso_core.loading.component_files import FileListing
from uso_core.loading.licence import licence_of
from uso_core.loading.source import ModelSource, describe_model

DEV = "flux-1-dev-non-commercial-license"


@pytest.mark.parametrize(
    ("card", "name", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# A", "mine", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: 'my-license'\n---\n", "FLUX.1-dev", "my-license"),
        ("---\ntags: [a]\n---\nlicense: mit\n", "FLUX.1-dev", DEV),
        ("\ufeff---\r\nlicense: mit  # of the weights\r\n---\r\n", "mine", "mit"),
        ("license: mit\n", "mine", None),
        (None, "black-forest-labs/FLUX.1-dev", DEV),
        (None, "mine", None),
    ],
)
def test_a_card_counts_before_the_name(
    tmp_path: Path, card: str | None, name: str, licence: str | None
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_bytes(card.encode())
    names = frozenset(path.name for path in tmp_path.iterdir())
    assert licence_of(FileListing(str(tmp_path), names, tmp_path), name) == licence


def test_the_demo_and_tiny_models_have_their_own_and_a_hub_id_is_known_by_name() -> None:
    assert describe_model(ModelSource(base="tiny:7")).licence == "apache-2.0"
    assert describe_model(ModelSource(base="demo")).licence == "apache-2.0"
    listing = FileListing("black-forest-labs/FLUX.1-dev", frozenset({"README.md"}))
    assert licence_of(listing, listing.location) == DEV
