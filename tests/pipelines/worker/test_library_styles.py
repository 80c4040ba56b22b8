"""Rows with styles of a library, in a worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.config.inputs import FetchConfig
from pipelines.fetch.fetcher import Fetcher
from pipelines.reference_facts import LibraryStyle
from pipelines.styles.library import StyleLibrary
from pipelines.tools.styling.make import Source, make_style
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tiny_models import tiny
from tests.pipelines.worker.stylizing import Make, make_row, stored
from uso_core.loading.source import ModelCard
from uso_core.request import Limits

CARD = ModelCard(name="tiny", layout="tiny", limits=Limits(), fingerprint="0123abcd")


class Kept:
    """A library with one style, made as `uso style add` makes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "styles"
        self.library = StyleLibrary(str(self.folder), {})
        self.manifest = {"path": "unused", "style_library": str(self.folder)}

    def add(self, name: str, image: bytes) -> LibraryStyle:
        path = self.folder.parent / f"{name}.png"
        path.write_bytes(image)
        source = Source(str(path), 1.0)
        fetcher = Fetcher(FetchConfig())
        facts, data = make_style(tiny(), CARD, "exact", [source], fetcher, "CC0")
        self.library.write(name, data, force=True)
        return LibraryStyle(name, facts.sha256, 1.0, facts.licence)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_a_style_of_one_image_gives_the_bytes_of_the_image(
    make: Make, kept: Kept, weight: float
) -> None:
    image = encode(picture(seed=1))
    style = kept.add("ink", image)
    stylizer = make(manifest=kept.manifest)
    plain = make_row(content=encode(picture()), styles=(image,))
    named = replace(plain, style_images=(), library_styles=(style._replace(weight=weight),))
    weighted = replace(plain, style_weights=None if weight == 1 else (weight,))
    assert stored(stylizer.stylize(named)) == stored(stylizer.stylize(weighted))


def test_a_worker_reads_a_style_once(make: Make, kept: Kept) -> None:
    style = kept.add("ink", encode(picture(seed=1)))
    stylizer = make(manifest=kept.manifest)
    first = stored(stylizer.stylize(replace(make_row(), library_styles=(style,))))
    kept.library.remove("ink")
    assert stored(stylizer.stylize(replace(make_row(), library_styles=(style,)))) == first


def test_a_style_that_is_gone_replaced_or_damaged_fails_its_row(make: Make, kept: Kept) -> None:
    style = kept.add("ink", encode(picture(seed=1)))
    row = replace(make_row(), library_styles=(style,))
    kept.add("ink", encode(picture(seed=2)))
    failure = make(manifest=kept.manifest).stylize(row).failure
    assert failure is not None
    assert failure.code == "uri_not_found"
    assert "ink.safetensors: style 'ink': another style has its name since" in failure.message
    kept.library.remove("ink")
    failure = make(manifest=kept.manifest).stylize(row).failure
    assert failure is not None
    assert (failure.code, failure.uri) == ("uri_not_found", kept.library.file_uri("ink"))
    (kept.folder / "ink.safetensors").write_bytes(b"\0" * 64)
    failure = make(manifest=kept.manifest).stylize(row).failure
    assert failure is not None
    assert failure.code == "image_corrupt"
