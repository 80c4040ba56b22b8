"""The card of an exported model: what it was made of, and what it can do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.quality.metrics import Quality
from examples.train_demo.contents import LICENCES

CARD = "README.md"
_CARD = """\
---
license: apache-2.0
---

# The demo model of USO Batch

A toy. It has the parts, the file formats and the conditioning of USO on FLUX.1 [dev], at about a
thousandth of the size, and was trained from nothing in {minutes:.0f} minutes of one CPU core by
`examples/train_demo`. It contains nothing of FLUX.1, USO, SigLIP, T5 or CLIP but their structure.

- Licence of the weights: Apache-2.0.
- Sizes: 96 to 192 px are trained, 128 px best; 64 to 256 px are accepted.
- Styles: the colours of any picture, and seven textures: {families}.
- Prompts: {kinds}; at dawn, by day, at dusk, at night.
- It knows no other subject, and no photograph of a person was among its training data.

## Measured

{count} held-out pairs at 128 px, {steps} steps, through `USOPipeline` in float32:

| | to the target | palette | edges |
|---|---|---|---|
| model | {model.decibels:.2f} dB | {model.palette:.3f} | {model.edges:.3f} |
| target through the VAE | {bound.decibels:.2f} dB | {bound.palette:.3f} | {bound.edges:.3f} |
| content copied | {copied.decibels:.2f} dB | {copied.palette:.3f} | {copied.edges:.3f} |

CPU minutes: {parts}.

## Data

Drawn by procedure (`scenes.py`, `contents.py`, `styles.py`), and cropped from these pictures of
scikit-image 0.26.0, with the rights that its documentation states:

| file | rights |
|---|---|
{pictures}
"""


def minutes_on(path: Path) -> float:
    """Return the CPU minutes of training that a card states."""
    found = re.search(r"from nothing in (\d+) minutes", path.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{path} does not say how long the model was trained")
    return float(found[1])


def card(
    measured: Mapping[str, Quality], minutes: Mapping[str, float], *, facts: Mapping[str, object]
) -> str:
    """Return the card as Markdown.

    Args:
        measured: the rows of the table: `model`, `bound` and `copied`.
        minutes: CPU minutes of each stage.
        facts: `count` and `steps` of the measurement, `families` and `kinds` as text.
    """
    rows = "\n".join(f"| `{name}` | {rights} |" for name, rights in sorted(LICENCES.items()))
    parts = ", ".join(f"{stage} {spent:.1f}" for stage, spent in minutes.items())
    return _CARD.format(
        **measured, **facts, minutes=sum(minutes.values()), parts=parts, pictures=rows
    )
