"""The section `scores`: names, options, and scorers of other packages."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from pipelines.config.schema import load_config
from pipelines.config.strict import StrictModel
from pipelines.errors import ConfigError
from pipelines.worker.plugin_chain import plugin_columns
from pipelines.worker.scores.picture import Picture
from pipelines.worker.scores.plugin import Scores
from pipelines.worker.scores.registry import BUILT_IN, SCORERS, chosen_scorers, known_scorer
from pipelines.worker.scores.scorer import Scorer, Seen
from pipelines.worker.spec import StylizerSpec
from tests.fresh_interpreter import loaded_after
from tests.pipelines.worker.stylizing import config_for

HERE = __name__
SEEN = Seen(picture=Picture(Image.new("RGB", (8, 8))))


class Weights(StrictModel):
    weights: str
    size: int = 4


def made(name: str, score: Any, **facts: Any) -> Scorer:
    texts: dict[str, Any] = {"title": name, "meaning": "a number", "source": "this test"}
    return Scorer(name=name, better="higher", low=0, high=1, load=score, **texts, **facts)


HEAVY = made(
    "heavy",
    lambda options: lambda seen: options.size / 10,
    options=Weights,
    missing=lambda options: f"download {options.weights}" if options.weights == "away" else None,
    identity=lambda options: {"weights": options.weights},
    one_at_a_time=True,
)
AGAIN = made("heavy", lambda _: lambda seen: 0.0)
BROKEN = made("broken", lambda _: lambda seen: 1 / 0)
ENDLESS = made("endless", lambda _: lambda seen: float("nan"))


def test_names_lists_and_options_are_accepted(tmp_path: Path) -> None:
    def of(scores: Any) -> list[str]:
        return [each.key for each in chosen_scorers(config_for(tmp_path, scores=scores).scores)]

    assert of("palette") == of(["palette"]) == of({"palette": None}) == ["palette"]
    assert of(BUILT_IN) == list(SCORERS.own)[: len(of(BUILT_IN))]
    assert len(of(BUILT_IN)) == 7
    assert of(["blank", BUILT_IN]) == ["blank", *(n for n in of(BUILT_IN) if n != "blank")]
    assert of({}) == []


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"paletta": {}}, r"scores: 'paletta' is unknown; give palette, .* or module:NAME"),
        ({"paletta": {}}, r"did you mean palette\?$"),
        ({"palette": {"size": 3}}, r"scores\.palette\.size: unknown key; there are no keys here"),
        ({BUILT_IN: {"size": 3}}, r"scores\.built_in: it has no options"),
        ({f"{HERE}:HEAVY": {}}, r"scores\..*HEAVY\.weights: is missing; give a string"),
        (
            {f"{HERE}:HEAVY": {"weights": "a", "sice": 3}},
            r"scores\..*HEAVY\.sice: unknown key; did you mean size\?",
        ),
        (
            {f"{HERE}:HEAVY": {"weights": "a", "colour": 3}},
            r"scores\..*\.colour: unknown key; the keys here are weights, size",
        ),
        (
            {f"{HERE}:HEAVY": {"weights": "a", "size": "b"}},
            r"\.size: 'b' is not accepted; give an in",
        ),
        ({f"{HERE}:HEAVY": {"weights": "away"}}, r"scores\..*HEAVY: download away"),
        ({f"{HERE}:HERE": {}}, r"scores\..*HERE: this is not a Scorer"),
        ({f"{HERE}:HEAVY": {"weights": "a"}, f"{HERE}:AGAIN": {}}, r"both named 'heavy'"),
    ],
)
def test_a_wrong_section_is_refused_before_a_run(tmp_path: Path, scores: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StylizerSpec.from_config(config_for(tmp_path, scores=scores))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (["palette", "blank", "palette"], "scores: palette is given twice; leave one out"),
        ("palette,blank", r"'palette,blank' is not a name; .* give a list: \[palette,blank\]"),
    ],
)
def test_a_list_that_says_nothing_clear_is_refused(
    tmp_path: Path, scores: Any, message: str
) -> None:
    sections = {"manifest": {"path": "m.csv"}, "output": {"path": str(tmp_path)}}
    with pytest.raises(ConfigError, match=message):
        load_config({**sections, "scores": scores})


def test_an_own_scorer_gets_its_options_in_the_worker(tmp_path: Path) -> None:
    scores = {f"{HERE}:HEAVY": {"weights": "here", "size": 7}, "blank": None}
    (plugin,) = StylizerSpec.from_config(config_for(tmp_path, scores=scores)).image_plugins
    plugin = pickle.loads(pickle.dumps(plugin))
    assert Scores(plugin.options["chosen"]).of(SEEN, "row") == {"heavy": 0.7, "blank": 1.0}
    (column,) = plugin_columns([plugin], pa.schema([]))
    assert column.name == "scores"
    assert column.type.value_type == pa.struct([("heavy", pa.float64()), ("blank", pa.float64())])


def test_the_identity_follows_from_what_changes_the_values() -> None:
    def identity(**options: Any) -> str:
        (chosen,) = chosen_scorers({f"{HERE}:HEAVY": options})
        return chosen.facts().identity

    assert identity(weights="a") == identity(weights="a", size=9)
    assert identity(weights="a") != identity(weights="b")


@pytest.mark.parametrize(("name", "reason"), [("BROKEN", "ZeroDivisionError"), ("ENDLESS", "nan")])
def test_a_scorer_that_fails_gives_null_and_says_why(
    caplog: pytest.LogCaptureFixture, name: str, reason: str
) -> None:
    scores = Scores(chosen_scorers({f"{HERE}:{name}": {}, "blank": {}}))
    with caplog.at_level(logging.WARNING):
        assert scores.of(SEEN, "row-7") == {name.lower(): None, "blank": 1.0}
    assert f"score={name.lower()} row_id=row-7 reason={reason}" in caplog.text


def test_every_own_scorer_is_named_and_described() -> None:
    for name in SCORERS.own:
        scorer = known_scorer(name)
        assert scorer is not None
        assert scorer.name == name
        assert scorer.title
        assert scorer.meaning.endswith(".")
        assert scorer.source
    assert known_scorer("of_someone_else") is None


def test_choosing_scores_loads_no_network() -> None:
    statement = (
        "from pipelines.worker.scores.registry import chosen_scorers;"
        "chosen_scorers({'built_in': {}})"
    )
    assert loaded_after(statement).isdisjoint({"torch", "transformers", "ray"})
