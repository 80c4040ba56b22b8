from __future__ import annotations

import io
from typing import Any, get_args

import pytest
from PIL import Image

from pipelines.formats import FormatName, ImageEncoding
from pipelines.recipe import Recipe

PICTURE = Image.new("RGB", (32, 24), "teal")
LINE = (
    "Steps: 25, Sampler: Euler, CFG scale: 4, Seed: 7, Size: 32x24, Model: FLUX.1-dev, "
    "Preset: exact"
)


def recipe(**fields: Any) -> str:
    given: dict[str, Any] = {
        "prompt": "a cat", "seed": 7, "num_steps": 25, "guidance": 4.0, "width": 32, "height": 24,
        "model": "FLUX.1-dev", "preset": "exact",
    }  # fmt: skip
    return Recipe(**{**given, **fields}).text()


def stored(data: bytes) -> str | None:
    """Return the recipe in a file, as other tools read it."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if "parameters" in image.info:
            return str(image.info["parameters"])
        comment = image.getexif().get_ifd(0x8769).get(0x9286)
    if comment is None:
        return None
    assert comment[:8] == b"UNICODE\0"
    return str(comment[8:].decode("utf-16-be"))


def test_a_recipe_is_the_prompt_and_a_line_of_pairs() -> None:
    assert recipe() == f"a cat\n{LINE}"
    assert recipe(prompt="") == f"\n{LINE}"
    references = {"content": "/home/me/cat.jpg", "content_long_size": 512, "styles": ["a.png"]}
    assert recipe(**references).endswith(", Content: cat.jpg, Content size: 512, Styles: a.png")


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("/home/me/private/cat.jpg", "cat.jpg"),
        ("https://user:secret@host/a/cat.jpg?X-Amz-Signature=secret#secret", "cat.jpg"),
        ("s3://bucket/private/a%20cat.jpg", "a cat.jpg"),
        ("data:image/png;base64,AAAA", "inline image"),
        (b"\x89PNG", "inline image"),
        ("https://host/?secret=1", "image"),
        ("https://[broken/cat.jpg", "image"),
        ("/a/b, Seed: 9.png", '"b, Seed: 9.png"'),
        ('/a/"x".png', '"\\"x\\".png"'),
        ("/a/two\nlines.png", "two lines.png"),
    ],
)
def test_a_reference_is_the_name_of_its_file(reference: str | bytes, shown: str) -> None:
    text = recipe(content=reference, content_long_size=512)
    assert text.endswith(f", Content: {shown}, Content size: 512")
    assert recipe(styles=[reference]).endswith(f", Styles: {shown}")


def test_several_styles_and_weights() -> None:
    text = recipe(styles=["a.png", "b.png"], style_weights=(0.5, 2.0))
    assert text.endswith(", Styles: a.png; b.png, Style weights: 0.5; 2")


@pytest.mark.parametrize("name", get_args(FormatName))
@pytest.mark.parametrize("prompt", ["a cat", "ein Kätzchen, 猫 🐈", "x" * 200_000])
def test_every_format_stores_it(name: FormatName, prompt: str) -> None:
    text = recipe(prompt=prompt)
    data = ImageEncoding(name).encode(PICTURE, text)
    assert stored(data) == text
    assert data == ImageEncoding(name).encode(PICTURE, text)


@pytest.mark.parametrize("name", get_args(FormatName))
def test_pixels_do_not_depend_on_it(name: FormatName) -> None:
    encoding = ImageEncoding(name)
    assert stored(encoding.encode(PICTURE)) is None
    plain, labelled = (
        Image.open(io.BytesIO(encoding.encode(PICTURE, text))) for text in (None, recipe())
    )
    assert plain.tobytes() == labelled.tobytes()
