"""CPU cost of signing images, per row, beside everything else that is not the drawing.

    python -m benchmarks.provenance
    python -m benchmarks.provenance --rounds 40 --algorithm ed25519

A real worker does rows of one content and one style image (JPEG, 1024x1024) and one image of
1024x1024 pixels: it fetches, decodes and resizes the references, encodes the image, signs it and
stores it on this machine's disk. The model draws a photograph at once, so all of the time is
outside of the drawing. Each row is done unsigned and signed, in turns of order; the cost is the
median of the differences. Prints the table of docs/provenance.md; times are CPU, over all threads
of the process.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipelines.config.schema import RunConfig
from pipelines.formats import FORMATS, FormatName
from pipelines.provenance.claim import ModelFacts
from pipelines.provenance.trial_ca import CertificateFiles, make_test_certificate
from pipelines.rows import ManifestRow
from pipelines.worker.spec import StylizerSpec
from pipelines.worker.stylizer import Stylizer
from uso_core.model.conditioning import Conditioning
from uso_core.model.denoise import Latents, OnStep
from uso_core.model.images import Pixels
from uso_core.model.inputs import PreparedRequest
from uso_core.pipeline import USOPipeline
from uso_core.request import Parameters, StylizeRequest

_PHOTO = Path(__file__).parents[1] / "examples" / "demo" / "photos" / "cat.jpg"
_SIDE = 1024
_MODEL = ModelFacts("instant", "Apache-2.0", "0", "exact")


class Instant(USOPipeline):
    """The tiny model, which prepares requests and draws a photograph at once."""

    def __init__(self, pixels: Pixels) -> None:
        tiny = USOPipeline.tiny()
        super().__init__(tiny.components)
        request = StylizeRequest(prompt="a cat", width=64, height=64, num_steps=1)
        self._encoded_once = tiny.condition(tiny.prepare(request))
        self._drawn = tiny.denoise_batch([self._encoded_once], [0])[0]
        self._photograph = pixels

    def condition(self, request: StylizeRequest | PreparedRequest) -> Conditioning:  # noqa: ARG002
        """Return what another request gave."""
        return self._encoded_once

    def denoise_batch(
        self,
        conditionings: Sequence[Conditioning],  # noqa: ARG002
        seeds: Sequence[int],
        on_step: OnStep | None = None,  # noqa: ARG002
    ) -> list[Latents]:
        """Return the latents of another request."""
        return [self._drawn for _ in seeds]

    def decode_pixels(self, latents: Latents) -> Pixels:  # noqa: ARG002
        """Return the photograph."""
        return self._photograph


def costs(
    folder: Path, name: FormatName, files: CertificateFiles, rounds: int
) -> tuple[float, float, int]:
    """Return CPU seconds of an unsigned row, the part of signing, and the bytes it adds."""
    picture = _picture()
    picture.save(folder / "photo.jpg", quality=92)
    levels = torch.from_numpy(np.array(picture))
    pipeline = Instant(Pixels(levels, torch.zeros((), dtype=torch.bool)))
    with ExitStack() as stack:
        workers = [
            stack.enter_context(closing(_worker(folder, name, pipeline, keys)))
            for keys in (None, files)
        ]
        times: tuple[list[float], list[float]] = ([], [])
        sizes = [0, 0]
        for number, row in enumerate(_rows(folder, rounds + 1)):
            for at in (0, 1) if number % 2 else (1, 0):
                worker = workers[at]
                began = time.process_time()
                outcome = worker.stylize(row)
                times[at].append(time.process_time() - began)
                assert outcome.failure is None, outcome.failure
                sizes[at] = outcome.image_bytes[0]
    more = statistics.median(
        signed - unsigned for unsigned, signed in zip(*(each[1:] for each in times), strict=True)
    )
    return statistics.median(times[0][1:]), more, sizes[1] - sizes[0]


def _worker(
    folder: Path, name: FormatName, pipeline: USOPipeline, files: CertificateFiles | None
) -> Stylizer:
    provenance: dict[str, Any] = {}
    if files is not None:
        provenance = {"c2pa": True, "certificate": str(files.certificate), "key": str(files.key)}
    config = RunConfig.model_validate(
        {
            "manifest": {"path": "unused"},
            "output": {
                "path": str(folder / f"{name}-{bool(files)}"),
                "format": name,
                "provenance": provenance,
            },
            "model": {"base": "tiny"},
            "fetch": {"local_roots": [str(folder)]},
            "stylize": {"gpus_per_actor": 0},
        }
    )
    spec = replace(StylizerSpec.from_config(config), recipe_model="instant", model_facts=_MODEL)
    return Stylizer(spec, pipeline=pipeline)


def _rows(folder: Path, count: int) -> Iterator[ManifestRow]:
    photo, numbers = str(folder / "photo.jpg"), Parameters(width=64, height=64, num_steps=1, seed=0)
    for at in range(count):
        yield ManifestRow(f"row-{at}", "a cat in the snow", photo, (photo,), numbers, "f00d")


def _picture() -> Image.Image:
    """Return an enlarged photograph: a generated image of this size has as little detail."""
    with Image.open(_PHOTO) as image:
        return image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="rows of each format")
    parser.add_argument(
        "--algorithm", default="es256", choices=["es256", "es384", "es512", "ps256", "ed25519"]
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as in an actor
    print("| format | CPU of a row, ms | signing, ms | part | bytes |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        files = make_test_certificate(folder / "keys", arguments.algorithm)
        for name in FORMATS:
            unsigned, more, num_bytes = costs(folder, name, files, arguments.rounds)
            cells = f"{1e3 * unsigned:.1f} | {1e3 * more:.1f} | {more / unsigned:.1%}"
            print(f"| {name} | {cells} | {num_bytes:,} |")


if __name__ == "__main__":
    main()
