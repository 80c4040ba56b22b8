"""Measures an exported model for its page in the docs: python -m examples.train_demo.checks.

It prints tables in Markdown and writes grids of pictures. Held-out pairs are at 128 pixels unless
the row says otherwise.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from examples.train_demo import text_checks
from examples.train_demo.decoder import save_grid
from examples.train_demo.importing import read_vae
from examples.train_demo.measure import (
    PAINTINGS,
    PHOTOS,
    HeldOut,
    draw_through,
    held_out_pairs,
    photo,
    summary,
    through_vae,
)
from examples.train_demo.styles import FAMILIES, render
from examples.train_demo.stylist import blend
from uso_core import USOPipeline
from uso_core.loading.demo import demo_folder

_SIZES = ((96, 96), (128, 192), (192, 128), (160, 160), (192, 192))
_Rows = Iterator[tuple[str, torch.Tensor, torch.Tensor]]
"""Name, pictures, targets."""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.train_demo.checks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", type=Path, default=demo_folder(), help="a folder")
    parser.add_argument("--grids", type=Path, metavar="DIR", help="gets grids of pictures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = USOPipeline.from_original(options.model, dtype=torch.float32, device="cpu")
    pairs = held_out_pairs()
    drawn = draw_through(pipeline, pairs)
    _print("Pairs", _whole(options.model, pairs, drawn))
    _print("Family", _families(pairs, drawn))
    _print("Broken", _broken(pipeline, options.model, pairs, drawn), drawn)
    _print("Settings", _settings(pipeline, pairs), drawn)
    _print("Sizes", _sizes(pipeline))
    _print("Two styles", _two_styles(pipeline, pairs))
    scenes = text_checks.draw(pipeline)
    print(text_checks.table(scenes), flush=True)  # noqa: T201
    if options.grids is not None:
        _save_grids(options.grids, pipeline, pairs, drawn, scenes)


def _print(title: str, rows: _Rows, usual: torch.Tensor | None = None) -> None:
    print(f"| {title} | to the target | palette | edges | from the usual result |")  # noqa: T201
    print("|---|---|---|---|---|")  # noqa: T201
    for name, pictures, targets in rows:
        found = summary(pictures, targets)
        apart = "" if usual is None else f"{summary(pictures, usual).decibels:.1f} dB"
        metrics = f"{found.decibels:.2f} dB | {found.palette:.3f} | {found.edges:.3f}"
        print(f"| {name} | {metrics} | {apart} |", flush=True)  # noqa: T201
    print(flush=True)  # noqa: T201


def _whole(model: Path, pairs: HeldOut, drawn: torch.Tensor) -> _Rows:
    vae, basis = read_vae(model)
    yield "model", drawn, pairs.targets
    yield "target through the VAE: the bound", through_vae(vae, basis, pairs.targets), pairs.targets
    yield "content copied", pairs.content, pairs.targets


def _families(pairs: HeldOut, drawn: torch.Tensor) -> _Rows:
    for index, family in enumerate(FAMILIES):
        rows = pairs.styles.family == index
        yield family, drawn[rows], pairs.targets[rows]


def _broken(pipeline: USOPipeline, model: Path, pairs: HeldOut, drawn: torch.Tensor) -> _Rows:
    def with_content(content: torch.Tensor) -> HeldOut:
        return replace(pairs, content=content)

    swapped = [pairs.references.roll(1, 0)]
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "nothing broken": lambda: drawn,
        "styles swapped": lambda: draw_through(pipeline, pairs, references=swapped),
        "style tokens zeroed": lambda: draw_through(pipeline, pairs, style_weights=[0.0]),
        "contents swapped": lambda: draw_through(pipeline, with_content(pairs.content.roll(1, 0))),
        "content left out": lambda: draw_through(pipeline, pairs, content_long_size=0),
        "LoRA not merged": lambda: draw_through(_without_lora(model), pairs),
        "another seed": lambda: draw_through(pipeline, pairs, first_seed=1000),
        "bfloat16": lambda: draw_through(
            USOPipeline.from_original(model, dtype=torch.bfloat16, device="cpu"), pairs
        ),
    }
    for name, way in ways.items():
        yield name, way(), pairs.targets


def _settings(pipeline: USOPipeline, pairs: HeldOut) -> _Rows:
    for weight in (0.5, 1.5):
        yield (
            f"style weight {weight}",
            draw_through(pipeline, pairs, style_weights=[weight]),
            (blend(pairs.content, [pairs.targets], torch.full((1, len(pairs.content)), weight))),
        )
    for steps in (1, 2, 8, 12):
        yield f"{steps} steps", draw_through(pipeline, pairs, num_steps=steps), pairs.targets


def _sizes(pipeline: USOPipeline) -> _Rows:
    for height, width in _SIZES:
        pairs = held_out_pairs(14, height, width)
        yield f"{width} x {height}", draw_through(pipeline, pairs), pairs.targets


def _two_styles(pipeline: USOPipeline, pairs: HeldOut) -> _Rows:
    second = pairs.styles[torch.arange(len(pairs.content)).roll(3)]
    references = [pairs.references, pairs.references.roll(3, 0)]
    pictures = draw_through(pipeline, pairs, references=references)
    alone = [pairs.targets, render(pairs.content, second)]
    both = blend(pairs.content, alone, torch.ones(2, len(pairs.content)))
    yield "to the mean of both", pictures, both
    yield "to the first alone", pictures, alone[0]
    yield "to the second alone", pictures, alone[1]


def _without_lora(model: Path) -> USOPipeline:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "without"
        copytree(model, folder)
        lora = load_file(folder / "dit_lora.safetensors")
        zeros = {name: torch.zeros_like(tensor) for name, tensor in lora.items()}
        save_file(zeros, folder / "dit_lora.safetensors")
        return USOPipeline.from_original(folder, dtype=torch.float32, device="cpu")


def _save_grids(
    folder: Path,
    pipeline: USOPipeline,
    pairs: HeldOut,
    drawn: torch.Tensor,
    scenes: torch.Tensor,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    columns = (pairs.content, pairs.references, drawn, pairs.targets)
    halves = [part[half] for half in (slice(0, 14), slice(14, 28)) for part in columns]
    _save(halves, folder / "pairs.jpg")
    photos = torch.stack([photo(name) for name in PHOTOS])
    rows = [torch.cat([torch.ones(1, 3, 128, 128), photos])]
    for name in PAINTINGS:
        painting = photo(name)
        references = painting.expand(len(photos), -1, -1, -1)
        row = draw_through(pipeline, replace(pairs, content=photos, references=references))
        rows.append(torch.cat([painting[None], row]))
    _save(rows, folder / "paintings.jpg")
    _save(list(scenes.transpose(0, 1)), folder / "text.jpg")


def _save(rows: list[torch.Tensor], path: Path) -> None:
    lossless = path.with_suffix(".png")
    save_grid(rows, lossless)
    Image.open(lossless).save(path, quality=88)
    lossless.unlink()


if __name__ == "__main__":
    main()
