"""The schemas of an output's parts, each once, with a part that has it."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class Origins:
    """Takes the facts of all parts in order.

    Attributes:
        num_rows: number of rows of each part.
    """

    def __init__(self) -> None:
        self.num_rows: list[int] = []
        self._schemas: list[tuple[str, pa.Schema]] = []
        self._origin_of: list[int] = []

    def note(self, uri: str, schema: pa.Schema, num_rows: int) -> None:
        """Add the next part."""
        known = (at for at, (_, one) in enumerate(self._schemas) if schema.equals(one))
        origin = next(known, len(self._schemas))
        if origin == len(self._schemas):
            self._schemas.append((uri, schema))
        self._origin_of.append(origin)
        self.num_rows.append(num_rows)

    def used(self, wins: npt.NDArray[np.bool_]) -> list[tuple[str, pa.Schema]]:
        """Return the schemas of parts with a winning row, or without rows: others do not count.

        Args:
            wins: `[n]`, True for the winning rows, over all parts in order.

        Returns:
            The distinct schemas, each with the URI of a part.
        """
        parts = zip(self._origin_of, self.num_rows, accumulate(self.num_rows), strict=True)
        used = {origin for origin, rows, end in parts if not rows or wins[end - rows : end].any()}
        return [self._schemas[origin] for origin in sorted(used)]
