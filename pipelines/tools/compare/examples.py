"""The pairs that the page of a comparison shows: the most different ones, in each score."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ledger.records import Records
from pipelines.storage.storage import Storage
from pipelines.tools.compare.comparison import Comparison, values_of
from pipelines.tools.compare.sides import Side
from pipelines.tools.report.pictures import Picture, reference, results

_COLUMNS = ("id", "prompt", "content_image", "style_images", "outputs", "sha256")


@dataclass(frozen=True, slots=True)
class Example:
    """A pair of rows with its pictures.

    Attributes:
        row_id: id of the row.
        prompt: prompt in A.
        content: content image in A; None if there is none.
        styles: style images in A.
        a: pictures of A.
        b: pictures of B.
        scores: the scores of A and B by name, if both have one.
    """

    row_id: str
    prompt: str
    content: Picture | None
    styles: tuple[Picture, ...]
    a: tuple[Picture, ...]
    b: tuple[Picture, ...]
    scores: Mapping[str, tuple[float, float]]

    @property
    def pictures(self) -> list[Picture]:
        """All pictures."""
        content = [] if self.content is None else [self.content]
        return [*self.a, *self.b, *content, *self.styles]


def extremes(a: Side, b: Side, ids: Sequence[str], comparison: Comparison, most: int) -> set[str]:
    """Return the ids of the pairs to show: for each score, the lowest and highest differences.

    Args:
        a: the first output.
        b: the second output.
        ids: ids of all pairs.
        comparison: its scores are looked at.
        most: pairs for each score, half from each end.
    """
    chosen: set[str] = set()
    for score in comparison.scores:
        differences = values_of(b, score.name, ids) - values_of(a, score.name, ids)
        order = np.argsort(differences, kind="stable")[: int(np.isfinite(differences).sum())]
        low = order[: (most + 1) // 2].tolist()
        high = order[len(order) - most // 2 :].tolist() if most > 1 else []
        chosen |= {ids[at] for at in (*low, *high)}
    return chosen


def examples(
    places: tuple[Storage, Storage],
    sides: tuple[Side, Side],
    ids: Collection[str],
    names: list[str],
) -> list[Example]:
    """Return the pairs with these ids, by id.

    Args:
        places: the outputs A and B.
        sides: their scores.
        ids: ids of the pairs.
        names: the scores to give.

    Raises:
        LedgerError, StorageError: the records cannot be read.
    """
    here, there = (_records(place, ids) for place in places)
    return [
        _example(here[row_id], there[row_id], _scores(sides, row_id, names))
        for row_id in sorted(here.keys() & there.keys())
    ]


def _records(place: Storage, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    wanted = pa.array(sorted(ids), pa.string())
    found: dict[str, dict[str, Any]] = {}
    for batch in Records(place).batches(_COLUMNS):
        kept = batch.filter(pc.is_in(batch["id"], wanted))
        found |= {record["id"]: record for record in kept.to_pylist()}
    return found


def _scores(
    sides: tuple[Side, Side], row_id: str, names: list[str]
) -> dict[str, tuple[float, float]]:
    pairs = {name: tuple(side.score(name, row_id) for side in sides) for name in names}
    return {name: (a, b) for name, (a, b) in pairs.items() if np.isfinite([a, b]).all()}


def _example(
    here: dict[str, Any], there: dict[str, Any], scores: dict[str, tuple[float, float]]
) -> Example:
    content = here["content_image"]
    return Example(
        row_id=here["id"],
        prompt=here["prompt"] or "",
        content=None if content is None else reference(content),
        styles=tuple(map(reference, here["style_images"] or ())),
        a=tuple(results(here["outputs"], here["sha256"], "run")),
        b=tuple(results(there["outputs"], there["sha256"], "other")),
        scores=scores,
    )
