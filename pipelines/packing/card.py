"""The dataset card: a README.md that people read, and by which `datasets` finds the shards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from pipelines.formats import LayoutName
from pipelines.ledger.counts import LedgerCounts
from pipelines.packing.facts import DrawnFacts
from pipelines.packing.plan import ShardPlan
from pipelines.packing.shard import LAYOUTS, shard_pattern
from pipelines.storage.storage import Storage
from uso_core.families import family_named
from uso_core.protocol import About

PATH = "README.md"

_MARK = "# Made by uso. Remove this line, and the file is yours: it is not written again."
_SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6))
_MORE_SIZES = (("1M<n<10M", 10**7), ("10M<n<100M", 10**8))
_MOST_SHOWN = 10
_ENDS_CODE = re.compile(r"[\x00-\x1f\x7f-\x9f|`]")


@dataclass(frozen=True, slots=True)
class Card:
    """What a card says.

    Attributes:
        layout: of the shards.
        samples: columns of a sample, beside its image.
        plan: the shards.
        counts: of all rows.
        facts: of the completed ones.
    """

    layout: LayoutName
    samples: pa.Schema
    plan: ShardPlan
    counts: LedgerCounts
    facts: DrawnFacts


def write_card(dest: Storage, card: Card) -> bool:
    """Write the card, unless there is a file that somebody else wrote, or made their own.

    Returns:
        Whether the card is there.

    Raises:
        StorageError: it cannot be read or written.
    """
    if dest.exists(PATH) and _MARK not in dest.read(PATH).decode("utf-8", "replace"):
        return False
    dest.write(PATH, render(card).encode())
    return True


def render(card: Card) -> str:
    """The card's text; the same facts, the same text."""
    front = yaml.safe_dump(_front_matter(card), sort_keys=False, allow_unicode=True)
    return f"---\n{_MARK}\n{front}---\n\n" + "\n".join(_body(card)) + "\n"


def _front_matter(card: Card) -> dict[str, Any]:
    images = sum(card.plan.images)
    front: dict[str, Any] = {
        "tags": ["uso-batch", "synthetic"],
        "size_categories": [_size_category(images)],
    }
    if not len(card.plan):
        return front
    pattern = shard_pattern(card.layout, len(card.plan))
    front["configs"] = [
        {"config_name": "default", "data_files": [{"split": "train", "path": pattern}]}
    ]
    features = LAYOUTS[card.layout].features(card.samples, card.facts.extensions)
    if features:
        front["dataset_info"] = {"features": features}
    return front


def _size_category(images: int) -> str:
    for name, limit in (*_SIZES, *_MORE_SIZES):
        if images < limit:
            return name
    return "n>100M"


def _body(card: Card) -> Iterator[str]:
    rows, images = card.counts.completed, sum(card.plan.images)
    models = _abouts(card.facts)
    yield f"# Images drawn with {' and '.join(model.title for model in models)}\n"
    links = " and ".join(f"[{model.title}]({model.url})" for model in models)
    yield (
        f"{images:,} images of {rows:,} rows, drawn by {links}: from a prompt, a "
        "content image, style images, or any of them together. The "
        "references themselves are not in here.\n"
    )
    yield from _how_to_load(card)
    yield from _how_they_were_drawn(card)
    yield from _failures(card.counts)
    yield from _columns(card)
    yield "## Licence\n"
    yield (
        "None is set: set `license:` at the top of this file, and remove the line there that says "
        "who made it. What the images may be used for "
        "depends on the model that drew them "
        f"({'; '.join(model.licence for model in models)}) and on the rights in the references."
    )


def _abouts(facts: DrawnFacts) -> list[About]:
    """Return what is known of the models' families, each once."""
    abouts = (family_named(name).about for name, _ in facts.models)
    return list(dict.fromkeys(abouts)) or [family_named("").about]


def _how_to_load(card: Card) -> Iterator[str]:
    if not len(card.plan):
        return
    yield "## Load it\n"
    yield (
        "```python\nfrom datasets import load_dataset\n\n"
        'dataset = load_dataset("path/of/this/folder", split="train")\n```\n'
    )
    count = len(card.plan)
    loader = LAYOUTS[card.layout].loader(shard_pattern(card.layout, count), count)
    if loader:
        yield f"```python\n{loader}\n```\n"


def _how_they_were_drawn(card: Card) -> Iterator[str]:
    yield "## How they were drawn\n"
    for (model, preset), rows in _first(card.facts.models):
        yield f"- {_code(model)}, preset {_code(preset)}: {rows:,} rows"
    for (width, height), rows in _first(card.facts.sizes):
        yield f"- {width}x{height} pixels: {rows:,} rows"
    if len(card.facts.sizes) > _MOST_SHOWN:
        yield f"- {len(card.facts.sizes) - _MOST_SHOWN:,} other sizes"
    for name, span in card.facts.spans.items():
        yield f"- `{name}`: {span}"
    yield ""


def _failures(counts: LedgerCounts) -> Iterator[str]:
    if not counts.failed:
        return
    yield "## Rows that failed\n"
    yield f"{counts.failed:,} rows have no image:\n"
    for code, rows in counts.failed_by_code.items():
        yield f"- {_code(code)}: {rows:,}"
    yield ""


def _columns(card: Card) -> Iterator[str]:
    layout = LAYOUTS[card.layout]
    yield f"## {layout.columns_title}\n"
    yield "| name | type |\n|---|---|"
    for column in layout.columns(card.samples):
        yield f"| {_code(column.name)} | {_code(column.type)} |"
    yield ""


def _first(counts: Mapping[Any, int]) -> list[tuple[Any, int]]:
    return list(counts.items())[:_MOST_SHOWN]


def _code(text: object) -> str:
    """Text of the user's as code, within which nothing is markup."""
    return f"`{_ENDS_CODE.sub(' ', str(text))}`"
