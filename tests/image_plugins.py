"""Plug-ins for tests: a score, a signature, and some that misbehave.

They have no configuration key, so the run's seed switches them on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from pipelines.config.schema import RunConfig
from pipelines.failures import Failure, RowFailedError
from pipelines.worker.image_plugins import ChosenPlugin, Finding, FinishedImage, ImagePlugin, Look


def chosen(name: str, **options: Any) -> ChosenPlugin:
    """A plug-in of this module, switched on."""
    return ChosenPlugin(f"{__name__}:{name}", options)


def _plugin(
    name: str,
    look: Look,
    columns: tuple[pa.Field, ...] = (),
    on_error: Literal["fail", "null"] = "fail",
    load: Callable[[Mapping[str, Any]], Look] | None = None,
) -> ImagePlugin:
    def options(config: RunConfig) -> dict[str, Any] | None:
        return {"seed": config.stylize.seed} if config.stylize.seed else None

    return ImagePlugin(
        name=name,
        columns=columns,
        on_error=on_error,
        options=options,
        load=load or (lambda _: look),
    )


def _brightness(image: FinishedImage) -> Finding:
    pixels = np.asarray(image.image)
    return Finding(
        values={"brightness": pixels.mean() / 255, "channel": "RGB"[int(pixels[0, 0].argmax())]}
    )


BRIGHTNESS = _plugin(
    "brightness",
    _brightness,
    (pa.field("brightness", pa.float64()), pa.field("channel", pa.string())),
    on_error="null",
)


def _load_signature(options: Mapping[str, Any]) -> Look:
    signer = options.get("signer", "nobody")

    def sign(image: FinishedImage) -> Finding:
        mark = f" signed by {signer}: {image.row.id}/{image.index}"
        return Finding(data=image.file.data + mark.encode(), values={"size": len(image.file.data)})

    return sign


SIGNATURE = _plugin(
    "signature", lambda _: Finding(), (pa.field("size", pa.int64()),), load=_load_signature
)


def _broken(image: FinishedImage) -> Finding:
    if image.index == 1:
        raise ZeroDivisionError("no light")
    return Finding(values={"glow": 1.0}, data=b"half done")


BROKEN = _plugin("broken", _broken, (pa.field("glow", pa.float64()),), on_error="null")
STRICT = _plugin("strict", _broken, (pa.field("glow", pa.float64()),), on_error="fail")
WRONG_TYPE = _plugin(
    "wrong type", lambda _: Finding(values={"glow": "bright"}), (pa.field("glow", pa.float64()),)
)
UNDECLARED = _plugin("undeclared", lambda _: Finding(values={"glow": 1.0}))


SAFETY = _plugin(
    "safety",
    lambda image: Finding(values={"has_nsfw_contents": image.index == 1}),
    (pa.field("has_nsfw_contents", pa.bool_()),),
)


def _refuse(image: FinishedImage) -> Finding:
    raise RowFailedError(Failure("storage_write", f"no image of {image.row.id} may be stored"))


REFUSING = _plugin("refusing", _refuse, on_error="null")
