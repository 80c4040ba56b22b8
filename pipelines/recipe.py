"""The recipe of an image: its prompt and parameters as a text, for the metadata of its file.

The form is the one that Stable Diffusion web UIs write and that viewers and galleries read: the
prompt, then one line of `name: value` pairs. Equal requests have equal recipes, so the same row
still gives the same bytes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_MOST_PROMPT = 10_000
"""Characters of a prompt in a recipe: EXIF in a JPEG file holds less than 64 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The inputs of one image.

    Attributes:
        prompt: the prompt.
        seed: seed of the image's noise.
        num_steps: number of Euler steps.
        guidance: guidance scale.
        width: width of the image in pixels.
        height: height of the image in pixels.
        model: name of the model.
        preset: name of the preset.
        content: the content image; None if there is none.
        content_long_size: long side of the encoded content image, in pixels.
        styles: the style images.
        library_styles: names of styles of a library, after the style images.
        style_weights: a weight for each style; None: 1 for each.
    """

    prompt: str
    seed: int
    num_steps: int
    guidance: float
    width: int
    height: int
    model: str
    preset: str
    content: str | bytes | None = None
    content_long_size: int = 0
    styles: Sequence[str | bytes] = ()
    library_styles: Sequence[str] = ()
    style_weights: Sequence[float] | None = None

    def text(self) -> str:
        """Return the recipe as a text.

        Of a reference it has the name of the file alone: folders and the rest of a URI may be
        private.
        """
        pairs: dict[str, object] = {
            "Steps": self.num_steps,
            "Sampler": "Euler",
            "CFG scale": f"{self.guidance:g}",
            "Seed": self.seed,
            "Size": f"{self.width}x{self.height}",
            "Model": _quoted(self.model),
            "Preset": self.preset,
        }
        if self.content is not None:
            pairs["Content"] = _quoted(reference_name(self.content))
            pairs["Content size"] = self.content_long_size
        if self.styles or self.library_styles:
            names = [*map(reference_name, self.styles), *self.library_styles]
            pairs["Styles"] = _quoted("; ".join(names))
        if self.style_weights is not None:
            pairs["Style weights"] = _quoted("; ".join(f"{each:g}" for each in self.style_weights))
        line = ", ".join(f"{name}: {value}" for name, value in pairs.items())
        return f"{self.prompt[:_MOST_PROMPT]}\n{line}"


def reference_name(reference: str | bytes) -> str:
    """Return the name of a reference's file, without folders and servers."""
    if isinstance(reference, bytes) or reference[:5].lower() == "data:":
        return "inline image"
    if "://" not in reference:
        return posixpath.basename(reference)
    try:
        path = urlsplit(reference).path
    except ValueError:
        return "image"
    return posixpath.basename(unquote(path)) or "image"


def _quoted(text: str) -> str:
    """Put a text in quotes if a comma, a colon or a line break in it would end the pair."""
    plain = " ".join(text.split())
    if not any(mark in plain for mark in ',:"'):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
