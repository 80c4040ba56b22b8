"""`scores/descriptions.json`: the meaning of each score in an output, for people and programs.

It lets a report name a score that another package has computed. It also keeps two measures from
being mixed under one name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from pipelines.errors import ConfigError, LedgerError
from pipelines.storage.storage import Storage

PATH = "scores/descriptions.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreFacts:
    """The meaning of a score.

    Attributes:
        name: its name in the records.
        title: short name for people.
        meaning: the thing measured.
        better: the direction in which an image gets better.
        low: lowest value; None: no bound.
        high: highest value; None: no bound.
        needs: inputs without which a row has no score.
        source: publication or page that defines the measure.
        identity: text that changes when the values get another meaning.
    """

    name: str
    title: str
    meaning: str
    better: Literal["higher", "lower", "neither"]
    low: float | None
    high: float | None
    needs: tuple[str, ...] = ()
    source: str = ""
    identity: str = ""


_FACTS = TypeAdapter(dict[str, ScoreFacts])


def read_score_facts(output: Storage) -> dict[str, ScoreFacts]:
    """Return the scores of an output by name; empty if it has none.

    Raises:
        LedgerError: the file is damaged.
        StorageError: it cannot be read.
    """
    if not output.exists(PATH):
        return {}
    try:
        return _FACTS.validate_json(output.read(PATH))
    except ValidationError as error:
        reason = "not a description of scores; restore it, or remove it if no run is to add scores"
        raise LedgerError(output.uri(PATH), reason) from error


def check_score_facts(known: Mapping[str, ScoreFacts], ours: Sequence[ScoreFacts]) -> None:
    """Check that scores have the meaning that they have in an output already.

    Raises:
        ConfigError: one has another meaning.
    """
    for facts in ours:
        other = known.get(facts.name)
        if other is not None and other.identity != facts.identity:
            raise ConfigError(
                f"scores.{facts.name}: the records of the output have this score by another "
                "version, other options or other weights, and a mean over both would mean nothing; "
                "use the old ones, leave the score out, choose another output.path, or measure all "
                "images again with uso score --again"
            )


def save_score_facts(output: Storage, ours: Sequence[ScoreFacts], *, replace: bool = False) -> None:
    """Add the scores of a run to those of an output.

    Args:
        output: the output.
        ours: the scores.
        replace: they may have another meaning than before, because all images are measured again.

    Raises:
        ConfigError: see `check_score_facts`.
        LedgerError, StorageError: the file cannot be read or written.
    """
    if not ours:
        return
    known = read_score_facts(output)
    if not replace:
        check_score_facts(known, ours)
    merged = {**known, **{facts.name: facts for facts in ours}}
    if merged != known:
        found = {name: asdict(facts) for name, facts in merged.items()}
        output.write(PATH, json.dumps(found, indent=2).encode())
