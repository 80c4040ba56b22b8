from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.storage.storage import Storage
from pipelines.tools.report.thumbnails import LONG_SIDE, thumbnail
from tests.pipelines.pictures import encode, picture
from tests.pipelines.tools.report.outputs import commit, failed, generated, reported, rows_of


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "LA", "RGBA", "CMYK", "1", "I;16", "F"])
def test_any_mode_becomes_a_small_webp(mode: str) -> None:
    image = picture(800, 400).convert("I" if mode == "I;16" else mode)
    small = Image.open(io.BytesIO(thumbnail(image.convert(mode))))
    assert (small.format, small.size) == ("WEBP", (LONG_SIDE, LONG_SIDE // 2))


def test_transparency_is_kept() -> None:
    image = picture(40, 40, "RGBA")
    image.putalpha(Image.linear_gradient("L").resize((40, 40)))
    assert Image.open(io.BytesIO(thumbnail(image))).mode == "RGBA"
    palette = image.convert("RGB").quantize(8)
    palette.info["transparency"] = 0
    assert Image.open(io.BytesIO(thumbnail(palette))).mode == "RGBA"


def test_sixteen_bits_keep_their_brightness() -> None:
    deep = Image.fromarray(np.full((40, 40), 32768, np.uint16))
    small = Image.open(io.BytesIO(thumbnail(deep))).convert("L")
    assert abs(int(np.asarray(small)[20, 20]) - 128) <= 3


def test_small_images_are_not_enlarged() -> None:
    assert Image.open(io.BytesIO(thumbnail(picture(30, 20)))).size == (30, 20)


def test_references_are_read_if_the_policy_allows_and_else_the_page_gives_the_reason(
    tmp_path: Path,
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(encode(picture()))
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "run/report"))
    private, inline = "http://127.0.0.1:9/secret.png", "sha256:" + "0" * 64
    commit(
        run,
        generated(
            run, "a", content=str(photo), styles=[private, inline, str(tmp_path / "gone.png")]
        ),
        failed("b", content=str(photo)),
    )
    facts = reported(run, out)
    assert (facts.rows, facts.unreadable) == (2, 3)
    first, second = rows_of(out)
    for shown in (first["content"], second["content"], first["images"][0]):
        assert Image.open(io.BytesIO(out.read(shown["thumb"]))).format == "WEBP"
        assert "why" not in shown
    reasons = [style["why"] for style in first["styles"]]
    assert reasons[0].startswith("uri_refused")
    assert reasons[1] == "given inline: records keep only its hash"
    assert reasons[2].startswith("uri_not_found")
    assert not [style for style in first["styles"] if "thumb" in style]


def test_existing_thumbnails_are_kept(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "report"))
    commit(run, generated(run, "a"), generated(run, "b", seed=1))
    reported(run, out, thumbnails=1)
    (first,) = out.list("thumbs")
    out.write(first, b"marked")
    reported(run, out)
    assert out.read(first) == b"marked"
    assert len(out.list("thumbs")) == 2


def test_without_thumbnails_nothing_is_read_and_the_images_are_linked(tmp_path: Path) -> None:
    run, out = Storage.at(str(tmp_path / "run")), Storage.at(str(tmp_path / "run/report"))
    commit(run, generated(run, "a"))
    assert reported(run, out, thumbnails=0).unreadable == 0
    assert out.list("thumbs") == []
    (row,) = rows_of(out)
    (image,) = row["images"]
    assert (tmp_path / "run/report" / image["full"]).is_file()
