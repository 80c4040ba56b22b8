"""Held-out pairs of any model: inputs, and the picture that the model should draw."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from examples.train_demo.measure import held_out_pairs, to_image
from uso_core import StylizeRequest


@dataclass(frozen=True)
class Pair:
    """One pair.

    Attributes:
        prompt: possibly empty.
        content: None for a pair without content.
        style: None for a pair without style.
        target: the known result; its size is drawn.
        content_long_size: long side at which the content is encoded.
    """

    prompt: str
    content: Image.Image | None
    style: Image.Image | None
    target: Image.Image
    content_long_size: int

    def request(self, steps: int) -> StylizeRequest:
        """Return the request that should give the target."""
        return StylizeRequest(
            prompt=self.prompt,
            content_image=self.content,
            style_images=() if self.style is None else (self.style,),
            width=self.target.width,
            height=self.target.height,
            num_steps=steps,
            content_long_size=self.content_long_size,
        )


def demo_pairs(count: int) -> list[Pair]:
    """Return held-out pairs of the demo model, half of them with photographs."""
    held = held_out_pairs(count)
    columns = (held.content, held.references, held.targets)
    return [
        Pair("", to_image(content), to_image(style), to_image(target), 128)
        for content, style, target in zip(*columns, strict=True)
    ]


def pairs_in(folder: Path, count: int) -> list[Pair]:
    """Read up to `count` pairs from `pairs.csv` in a folder.

    Its columns are `target`, and `prompt`, `content`, `style`, `content_long_size`, which may be
    empty. Pictures are paths relative to the folder.

    Raises:
        ValueError: there is no column `target`, or no row.
    """
    path = folder / "pairs.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:count]
    if not rows or "target" not in rows[0]:
        raise ValueError(f"{path}: give rows with a column `target`, the path of a picture")

    def picture(name: str | None) -> Image.Image | None:
        return Image.open(folder / name).convert("RGB") if name else None

    pairs = []
    for row in rows:
        target = picture(row["target"])
        if target is None:
            raise ValueError(f"{path}: a row has no target")
        size = int(row.get("content_long_size") or max(target.size))
        pairs.append(
            Pair(
                row.get("prompt") or "",
                picture(row.get("content")),
                picture(row.get("style")),
                target,
                size,
            )
        )
    return pairs
