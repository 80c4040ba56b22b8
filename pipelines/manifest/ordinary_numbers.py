"""The numbers of ordinary rows, in whole columns; see `pipelines.manifest.ordinary`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config.schema import RunConfig
from pipelines.fields.kinds import BOOLEAN, NUMBER
from pipelines.fields.table import PARAMETER_FIELDS
from uso_core.loading.source import ModelCard
from uso_core.request import MAX_SEED, Limits, Parameters

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]
"""A number per row, `[n]`."""

_EXACT = 2**53
_INFERRED = 0
"""Stands for a width or height of None, which no checkpoint accepts as a number."""
_INTEGERS = (
    *(pa.types.is_int8, pa.types.is_int16, pa.types.is_int32, pa.types.is_int64),
    *(pa.types.is_uint8, pa.types.is_uint16, pa.types.is_uint32),
)
_FLOATS = (pa.types.is_float32, pa.types.is_float64)
_SIDES = ("width", "height")
_DERIVED_SEED = -1
_KNOWN = frozenset(
    {*_SIDES, "num_steps", "guidance", "seed", "keep_size", "content_long_size", "num_images"}
)
_KINDS = {field.name: field.kind for field in PARAMETER_FIELDS if field.name in _KNOWN}


class OrdinaryNumbers:
    """Checks and reads the parameters of rows.

    Args:
        config: the configuration of the run, whose defaults are valid.
        model: the model, with its limits.
    """

    names = _KNOWN

    def __init__(self, config: RunConfig, model: ModelCard) -> None:
        limits, preset = model.limits, config.model.chosen_preset
        given = {name: getattr(config.defaults, name, None) for name in _KNOWN}
        usual = {name: getattr(Parameters(), name) for name in _KNOWN} | limits.defaults
        usual["seed"] = _DERIVED_SEED
        usual |= {name: value for name, value in given.items() if value is not None}
        self._usual = {name: _INFERRED if value is None else value for name, value in usual.items()}
        self._most_steps = preset.steps(limits.max_steps)
        self._checks = _checks(limits)

    def mask(self, columns: Mapping[str, pa.Array], count: int) -> Flags:
        """Return True for each row whose numbers are certainly accepted, `[n]`.

        Args:
            columns: the input columns by our names.
            count: n.
        """
        found = np.ones(count, bool)
        read: dict[str, Numbers] = {}
        for name in _KNOWN & columns.keys():
            read[name], is_read = _numbers(name, columns[name])
            found &= is_read
        for name, values in read.items():
            null = columns[name].is_null().to_numpy(zero_copy_only=False)
            if name in self._checks:
                found &= null | self._checks[name](values)
            read[name] = np.where(null, self._usual[name], values)
        if "seed" in read or "num_images" in read:
            seed = read.get("seed", self._usual["seed"])
            found &= seed <= MAX_SEED + 1 - read.get("num_images", self._usual["num_images"])
        return found

    def values(self, columns: Mapping[str, pa.Array], count: int) -> dict[str, Numbers]:
        """Return the parameters of rows that `mask` accepts, with the defaults, `[n]` each."""
        found = {}
        for name, usual in self._usual.items():
            if name not in columns:
                found[name] = np.full(count, usual)
                continue
            values, _ = _numbers(name, columns[name])
            null = columns[name].is_null().to_numpy(zero_copy_only=False)
            found[name] = np.where(null, usual, values)
        found["num_steps"] = np.minimum(found["num_steps"], self._most_steps)
        return found


def _checks(limits: Limits) -> dict[str, Callable[[Numbers], Flags]]:
    """Return the check of each parameter's values, as `Parameters.check` has them."""

    def within(low: float, high: float, step: int = 1) -> Callable[[Numbers], Flags]:
        def check(values: Numbers) -> Flags:
            found = (values >= low) & (values <= high)
            return np.asarray(found & (values % step == 0) if step > 1 else found)

        return check

    side = within(max(limits.min_size, 1), limits.max_size, limits.size_step)
    return {
        "width": side,
        "height": side,
        "num_steps": within(1, limits.max_steps),
        "guidance": within(limits.min_guidance, limits.max_guidance),
        "seed": within(_DERIVED_SEED, MAX_SEED),
        "content_long_size": within(0, limits.max_content_long_size),
        "num_images": within(1, limits.max_images),
    }


def _numbers(name: str, column: pa.Array) -> tuple[Numbers, Flags]:
    """Return the numbers of a column, and True where they are read or null, `[n]` each."""
    kind, null = column.type, column.is_null().to_numpy(zero_copy_only=False)
    if _KINDS[name] is BOOLEAN:
        if not pa.types.is_boolean(kind):
            return np.zeros(len(column), bool), null
        return column.fill_null(False).to_numpy(zero_copy_only=False), np.ones(len(column), bool)
    if any(is_kind(kind) for is_kind in _INTEGERS):
        values = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        return values, np.ones(len(column), bool)
    if any(is_kind(kind) for is_kind in _FLOATS):
        reals = column.cast(pa.float64()).fill_null(0).to_numpy(zero_copy_only=False)
        if _KINDS[name] is NUMBER:
            return reals, np.isfinite(reals)
        exact = np.isfinite(reals) & (np.abs(reals) < _EXACT)
        whole = np.where(exact, reals, 0).astype(np.int64)
        return whole, np.asarray(exact & (whole == reals))
    return np.zeros(len(column), np.int64), null
