from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
import yaml

from pipelines.ledger.counts import LedgerCounts
from pipelines.packing.card import Card, render, write_card
from pipelines.packing.facts import CompletedFacts, Span
from pipelines.packing.plan import ShardPlan
from pipelines.storage.storage import Storage
from tests import second_model

FACTS = CompletedFacts(
    models={("tiny:0 | <b>[x](y)", "exact"): 30},
    sizes={(1024, 1024): 20, (512, 512): 10},
    spans={"num_steps": Span(25, 25), "guidance": Span(1, 4.5)},
    extensions=("png", "webp"),
    images="0" * 32,
)
CARD = Card(
    layout="webdataset",
    samples=pa.schema([("id", pa.string()), ("a | b", pa.int64())]),
    recorded={"a | b": pa.int64()},
    plan=ShardPlan(rows=(10, 20), images=(700, 800), digests=("a", "b")),
    counts=LedgerCounts(30, 3, {"uri_timeout": 2, "image_corrupt": 1}, {}),
    facts=FACTS,
)


def front_matter(text: str) -> dict[str, Any]:
    front: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return front


def test_a_card_states_counts_parameters_and_failures() -> None:
    text = render(CARD)
    assert "1,500 images of 30 rows" in text
    assert "- 1024x1024 pixels: 20 rows" in text
    assert "- `guidance`: 1 to 4.5" in text
    assert "3 rows have no image:\n\n- `uri_timeout`: 2\n- `image_corrupt`: 1" in text
    assert "data/train-{00000..00001}-of-00002.tar" in text
    assert "None is set" in text
    assert "# Images generated with USO\n" in text
    assert "Non-Commercial" in text


def test_a_card_names_each_family_of_models_once(monkeypatch: pytest.MonkeyPatch) -> None:
    second_model.install(monkeypatch)
    names = ("tiny:0", "painted", "my-flux")
    models = {(name, preset): 1 for name in names for preset in ("exact", "fp8")}
    text = render(replace(CARD, facts=replace(FACTS, models=models)))
    assert "# Images generated with USO and Paint\n" in text
    assert "[Paint](https://paint.example)" in text
    assert "Apache-2.0; paint is free)" in text


def test_user_texts_are_not_markup() -> None:
    text = render(CARD)
    assert "- `tiny:0   <b>[x](y)`, preset `exact`: 30 rows" in text
    assert "| `a   b` | `int64` |" in text


def test_the_header_leads_loaders_to_the_shards() -> None:
    front = front_matter(render(CARD))
    assert front["size_categories"] == ["1K<n<10K"]
    (config,) = front["configs"]
    assert config["data_files"] == [{"split": "train", "path": "data/train-*-of-00002.tar"}]
    names = [feature["name"] for feature in front["dataset_info"]["features"]]
    assert names == ["png", "webp", "json", "__key__", "__url__"]
    assert "license" not in front


def test_a_readme_of_the_user_is_not_overwritten() -> None:
    dest = Storage.at("memory://card")
    assert write_card(dest, CARD)
    made = dest.read("README.md").decode()
    assert write_card(dest, CARD)
    own = "\n".join(line for line in made.splitlines() if not line.startswith("# Made by uso"))
    dest.write("README.md", own.encode())
    assert not write_card(dest, CARD)
    assert dest.read("README.md").decode() == own


def test_a_card_counts_references_by_licence() -> None:
    facts = replace(
        FACTS,
        licences={"unknown": 9, "CC0-1.0": 1_200},
        wishes=1,
        model_licences=("flux-1-dev-non-commercial-license",),
    )
    text = render(replace(CARD, facts=facts))
    assert "Base model: `flux-1-dev-non-commercial-license`." in text
    assert "- `unknown`: 9\n- `CC0-1.0`: 1,200\n" in text
    assert "1 of them states that its owner does not want use for AI" in text
    assert "FLUX.1 [dev] is under a Non-Commercial License" in text


def test_a_base_model_with_its_own_licence_is_not_under_that_of_flux() -> None:
    text = render(replace(CARD, facts=replace(FACTS, model_licences=("apache-2.0",))))
    assert "Non-Commercial" not in text
    assert "(base model: `apache-2.0`)" in text
