"""Combines content images, styles and prompts into rows, as record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ComposeError
from pipelines.tools.compose.names import SEPARATOR, image_names, prompt_names

Pairing = Literal["grid", "zip", "random"]
Indices = npt.NDArray[np.int64]

_BATCH_ROWS = 1 << 16
_KINDS = ("content_image", "style_image", "prompt")


@dataclass(frozen=True, slots=True)
class Ingredients:
    """The parts of rows; any of the three may be empty, but not all.

    Attributes:
        contents: URIs of content images.
        styles: URIs of style images.
        prompts: texts; an empty one keeps the content image's layout.
    """

    contents: Sequence[str] = ()
    styles: Sequence[str] = ()
    prompts: Sequence[str] = ()

    def distinct(self) -> Ingredients:
        """Return the same ingredients without repeats."""
        return Ingredients(
            *(tuple(dict.fromkeys(kind)) for kind in (self.contents, self.styles, self.prompts))
        )


@dataclass(frozen=True, slots=True)
class RandomStyles:
    """The rules for choosing random styles.

    Attributes:
        per_content: the number of different styles for each content image.
        seed: the seed of the choice. A content image's styles depend on the seed, on its name and
            on the number of styles, but not on the other content images.
    """

    per_content: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a manifest, created while they are read.

    Attributes:
        count: the number of rows.
        schema: the schema of the batches.
        batches: the rows, in order.
    """

    count: int
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def grid(ingredients: Ingredients) -> Rows:
    """Combine every content image with every style and every prompt; prompts vary fastest."""
    axes = _Axes.of(ingredients.distinct())
    return axes.rows(axes.sizes[0] * axes.sizes[1] * axes.sizes[2], _grid_indices(axes.sizes))


def zipped(ingredients: Ingredients) -> Rows:
    """Combine the first of each kind, the second of each, and so on; a single one is used for all.

    Raises:
        ComposeError: the kinds differ in number.
    """
    axes = _Axes.of(ingredients)
    count = max(axes.sizes)
    if any(size not in (1, count) for size in axes.sizes):
        lengths = ", ".join(
            f"{len(axis)} {name}" for axis, name in zip(axes.axes, _KINDS, strict=True) if axis
        )
        raise ComposeError(
            f"zip needs the same number of each, or one for all: there are {lengths}"
        )
    return axes.rows(count, _zip_indices(axes.sizes, count))


def random_styles(ingredients: Ingredients, choice: RandomStyles) -> Rows:
    """Combine every content image with random styles of its own, and these with every prompt.

    Raises:
        ComposeError: there are no content images, or fewer styles than each image needs.
    """
    axes = _Axes.of(ingredients.distinct())
    contents, styles, prompts = axes.sizes
    if not axes.axes[0]:
        raise ComposeError("random styles need content images to be chosen for; name some")
    if choice.per_content > len(axes.axes[1]):
        have = len(axes.axes[1])
        raise ComposeError(
            f"each content image needs {choice.per_content} different styles, and there are {have}"
        )
    keys = _content_keys(axes.names[0], choice.seed)
    picks = _Picks(keys, styles, choice.per_content, prompts)
    return axes.rows(contents * choice.per_content * prompts, picks.indices())


@dataclass(frozen=True, slots=True)
class _Axes:
    """Contents, styles and prompts with their names; an empty kind counts as one absent value."""

    axes: tuple[Sequence[str], ...]
    names: tuple[list[str], ...]

    @classmethod
    def of(cls, ingredients: Ingredients) -> _Axes:
        axes = (ingredients.contents, ingredients.styles, ingredients.prompts)
        if not any(axes):
            raise ComposeError("there is nothing to make rows from; name images, styles or prompts")
        names = (image_names(axes[0]), image_names(axes[1]), prompt_names(axes[2]))
        return cls(axes, names)

    @property
    def sizes(self) -> tuple[int, int, int]:
        contents, styles, prompts = (max(1, len(axis)) for axis in self.axes)
        return contents, styles, prompts

    def rows(self, count: int, indices: Iterator[tuple[Indices, Indices, Indices]]) -> Rows:
        given = [number for number, axis in enumerate(self.axes) if axis]
        fields = [("id", pa.string()), *((_KINDS[number], pa.string()) for number in given)]
        schema = pa.schema(fields)
        values = {number: pa.array(self.axes[number], pa.string()) for number in given}
        names = {number: pa.array(self.names[number], pa.string()) for number in given}

        def batches() -> Iterator[pa.RecordBatch]:
            for taken in indices:
                at = {number: pa.array(taken[number]) for number in given}
                ids = pc.binary_join_element_wise(
                    *(names[number].take(at[number]) for number in given), SEPARATOR
                )
                columns = [values[number].take(at[number]) for number in given]
                yield pa.record_batch([ids, *columns], schema=schema)

        return Rows(count, schema, batches())


def _grid_indices(
    sizes: tuple[int, int, int],
) -> Iterator[tuple[Indices, Indices, Indices]]:
    contents, styles, prompts = sizes
    count = contents * styles * prompts
    for start in range(0, count, _BATCH_ROWS):
        row = np.arange(start, min(start + _BATCH_ROWS, count), dtype=np.int64)
        yield row // (styles * prompts), row // prompts % styles, row % prompts


def _zip_indices(
    sizes: tuple[int, int, int], count: int
) -> Iterator[tuple[Indices, Indices, Indices]]:
    for start in range(0, count, _BATCH_ROWS):
        row = np.arange(start, min(start + _BATCH_ROWS, count), dtype=np.int64)
        contents, styles, prompts = (row if size > 1 else np.zeros_like(row) for size in sizes)
        yield contents, styles, prompts


def _content_keys(names: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """Return a number for each content image, `[n]`, the same on every machine."""
    salt = str(seed).encode()
    digests = b"".join([blake2b(name.encode(), digest_size=8, key=salt).digest() for name in names])
    return np.frombuffer(digests, ">u8").astype(np.uint64)


@dataclass(frozen=True, slots=True)
class _Picks:
    """Random styles for each content image, without repeats.

    Floyd's algorithm, for many images at a time, is uniform over the sets of `per_content` styles.
    Its random numbers are hashes, because a library's generator may change.
    """

    keys: npt.NDArray[np.uint64]
    styles: int
    per_content: int
    prompts: int

    def indices(self) -> Iterator[tuple[Indices, Indices, Indices]]:
        rows_each = self.per_content * self.prompts
        step = max(1, _BATCH_ROWS // rows_each)
        for start in range(0, len(self.keys), step):
            picked = self._pick(self.keys[start : start + step])
            contents = np.arange(start, start + len(picked), dtype=np.int64)
            yield (
                np.repeat(contents, rows_each),
                np.repeat(picked.reshape(-1), self.prompts),
                np.tile(np.arange(self.prompts, dtype=np.int64), picked.size),
            )

    def _pick(self, keys: npt.NDArray[np.uint64]) -> Indices:
        """Return the styles of each key, `[n, per_content]`."""
        picked = np.empty((len(keys), self.per_content), np.int64)
        for place in range(self.per_content):
            last = self.styles - self.per_content + place
            candidate = (_mixed(keys, place) % np.uint64(last + 1)).astype(np.int64)
            taken = (picked[:, :place] == candidate[:, None]).any(axis=1)
            picked[:, place] = np.where(taken, last, candidate)
        return picked


def _mixed(keys: npt.NDArray[np.uint64], number: int) -> npt.NDArray[np.uint64]:
    """Return output `number` of the splitmix64 generator seeded by each key."""
    value = keys + np.uint64((number + 1) * 0x9E3779B97F4A7C15 % 2**64)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> np.uint64(31)))
