"""The built-in scores, on pictures with values that are known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pipelines.worker.scores.picture import MOST_PIXELS, Picture, Sources, covering
from pipelines.worker.scores.plugin import Scores
from pipelines.worker.scores.registry import BUILT_IN, chosen_scorers
from pipelines.worker.scores.scorer import Seen
from tests.pipelines.pictures import picture

NAMES = [each.key for each in chosen_scorers({BUILT_IN: {}})]
RAMP = np.linspace(0, 255, 64).astype(np.uint8)


def noise(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Soft random shapes in random colours."""
    levels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)


def score(
    name: str,
    image: Image.Image,
    content: Image.Image | None = None,
    *styles: Image.Image,
) -> float | None:
    sources = Sources.of(content, styles)
    seen = Seen(picture=Picture(image), content=sources.content, styles=sources.styles)
    return Scores(chosen_scorers({name: {}})).of(seen, "row")[name]


def value(name: str, image: Image.Image, *references: Image.Image | None) -> float:
    found = score(name, image, *references)  # type: ignore[arg-type]
    assert found is not None
    return found


def flat(colour: str) -> Image.Image:
    return Image.new("RGB", (48, 32), colour)


# --- each of them --------------------------------------------------------------------------------


def test_the_palette_is_equal_for_the_same_colours_in_other_places() -> None:
    style = noise(1)
    moved = style.transpose(Image.Transpose.ROTATE_180)
    assert value("palette", moved, None, style) == pytest.approx(0, abs=1e-6)
    assert value("palette", flat("black"), None, flat("white")) == pytest.approx(3**0.5)
    assert value("palette", flat("black"), None, flat("red")) == pytest.approx(1)


def test_a_style_of_one_pixel_has_a_palette() -> None:
    assert value("palette", flat("black"), None, Image.new("RGB", (1, 1), "red")) == 1


def test_the_palette_of_several_styles_is_their_mean() -> None:
    assert value("palette", flat("black"), None, flat("black"), flat("red")) == pytest.approx(0.5)


def test_structure_survives_other_colours_and_not_another_content() -> None:
    content = noise(2)
    inverted = Image.eval(content, lambda level: 255 - level)
    assert value("structure", content, content) == pytest.approx(1)
    assert value("structure", inverted, content) > 0.95
    assert abs(value("structure", noise(3), content)) < 0.5
    assert value("structure", flat("grey"), content) == 0


def test_structure_compares_the_middle_of_a_content_of_another_shape() -> None:
    content = noise(4, (160, 64))
    middle = content.crop((32, 0, 128, 64))
    assert covering(content, (96, 64)).tobytes() == middle.tobytes()
    assert value("structure", middle, content) == pytest.approx(1, abs=1e-3)
    assert value("structure", content.resize((96, 64)), content) < 0.9


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    checks = (np.indices((32, 32)).sum(axis=0) % 2 * 255).astype(np.uint8)
    board = Image.fromarray(checks).convert("RGB")
    assert value("sharpness", board) == pytest.approx((4 * 255) ** 2, rel=1e-5)
    ramp = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))).convert("RGB")
    assert value("sharpness", ramp) == pytest.approx(0, abs=1e-6)
    soft = picture().filter(ImageFilter.GaussianBlur(2))
    assert value("sharpness", soft) < value("sharpness", picture()) / 4


def test_an_image_without_inner_pixels_has_no_sharpness() -> None:
    assert score("sharpness", Image.new("RGB", (2, 2))) is None


def test_colourfulness_follows_its_definition() -> None:
    assert value("colourfulness", flat("grey")) == 0
    halves = np.zeros((2, 2, 3), np.uint8)
    halves[0], halves[1] = (255, 0, 0), (0, 0, 255)
    # Red-green: 255 and 0. Yellow-blue: 127.5 and -255.
    spread, shift = np.hypot(127.5, 191.25), np.hypot(127.5, -63.75)
    found = value("colourfulness", Image.fromarray(halves))
    assert found == pytest.approx(spread + 0.3 * shift, rel=1e-5)


@pytest.mark.parametrize("name", ["near_copy_content", "near_copy_style"])
def test_a_copy_is_found_when_it_is_resized_and_a_different_picture_is_not(name: str) -> None:
    pictures = [noise(seed, (256, 192)) for seed in range(6)]

    def likeness(image: Image.Image, reference: Image.Image) -> float:
        content, style = (reference, []) if name.endswith("content") else (None, [reference])
        return value(name, image, content, *style)

    for image in pictures:
        assert likeness(image, image) == 1
        assert likeness(image.resize((96, 96)), image) > 0.9
        warmer = Image.eval(image, lambda level: min(255, level + 12))
        assert likeness(warmer, image) > 0.85
    others = [likeness(pictures[0], other) for other in pictures[1:]]
    assert 0.35 < sum(others) / len(others) < 0.65
    assert max(others) < 0.8


def test_the_nearest_of_several_styles_counts() -> None:
    styles = [noise(seed) for seed in range(3)]
    assert value("near_copy_style", styles[1], None, *styles) == 1


@pytest.mark.parametrize("colour", ["black", "white", "grey", "red"])
def test_a_flat_image_is_blank(colour: str) -> None:
    assert value("blank", flat(colour)) == 1


def test_a_picture_is_not_blank_and_half_of_one_is_half_blank() -> None:
    image = noise(5, (64, 64))
    assert value("blank", image) == 0
    image.paste((0, 0, 0), (0, 0, 64, 32))
    assert value("blank", image) == 0.5
    colours = np.zeros((32, 32, 3), np.uint8)  # all of one luminance, and not blank
    colours[..., 0], colours[..., 1] = RAMP[::2], (255 - RAMP[::2]) * 0.299 / 0.587
    assert value("blank", Image.fromarray(colours)) < 0.1


# --- all of them ---------------------------------------------------------------------------------


def test_a_score_is_null_where_the_row_lacks_its_input() -> None:
    needy = {"palette", "structure", "near_copy_content", "near_copy_style"}
    found = {name: score(name, noise(1)) for name in NAMES}
    assert {name for name, each in found.items() if each is None} == needy


@pytest.mark.parametrize("image", [flat("black"), noise(7), Image.new("RGB", (5, 3), "red")])
@pytest.mark.parametrize("name", NAMES)
def test_values_are_in_the_range_that_is_promised(name: str, image: Image.Image) -> None:
    (chosen,) = chosen_scorers({name: {}})
    scorer = chosen.find()
    found = score(name, image, noise(1), noise(2))
    if found is not None:
        assert scorer.low is None or found >= scorer.low
        assert scorer.high is None or found <= scorer.high


def test_references_are_made_small() -> None:
    sources = Sources.of(Image.new("L", (3000, 1500)), [Image.new("RGB", (10, 20))])
    assert sources.content is not None
    assert (sources.content.image.size, sources.content.image.mode) == ((MOST_PIXELS, 512), "RGB")
    assert sources.styles[0].image.size == (10, 20)


def test_equal_pixels_have_equal_keys() -> None:
    assert Picture(noise(1)).key == Picture(noise(1).copy()).key
    keys = {Picture(each).key for each in (noise(1), noise(2), Image.new("RGB", (2, 3)))}
    keys.add(Picture(Image.new("RGB", (3, 2))).key)
    assert len(keys) == 4
