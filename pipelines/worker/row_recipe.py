"""The recipe of an image of a row."""

from __future__ import annotations

from pipelines.recipe import Recipe
from pipelines.rows import ManifestRow


def recipe_of(row: ManifestRow, size: tuple[int, int], seed: int, model: str, preset: str) -> str:
    """Return the recipe of an image.

    Args:
        row: the row.
        size: width and height of the image, in pixels.
        seed: seed of the image.
        model: name of the model.
        preset: name of the preset.
    """
    numbers = row.parameters
    recipe = Recipe(
        prompt=row.prompt,
        seed=seed,
        num_steps=numbers.num_steps,
        guidance=numbers.guidance,
        width=size[0],
        height=size[1],
        model=model,
        preset=preset,
        content=row.content_image if numbers.content_long_size else None,
        content_long_size=numbers.content_long_size,
        styles=row.style_images,
        library_styles=[style.name for style in row.library_styles],
        style_weights=row.weights,
    )
    return recipe.text()
