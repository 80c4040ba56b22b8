"""The styles of a library that rows name: found, checked, and part of the rows' digests."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipelines.config.schema import RunConfig
from pipelines.errors import StyleError
from pipelines.fields.table import STYLE
from pipelines.reference_facts import LibraryStyle
from pipelines.storage.filesystems import Options
from pipelines.styles.library import StyleLibrary
from uso_core.errors import InvalidRequestError
from uso_core.loading.source import ModelCard
from uso_core.request import Limits

_MOST_KEPT = 10_000
_SHOWN = 12
"""Digits of a model's fingerprint in messages."""


class RowStyles:
    """Resolves the cells of the column `style`.

    Args:
        library: the library.
        model: the model of the run.
    """

    def __init__(self, library: StyleLibrary, model: ModelCard) -> None:
        self._library = library
        self._model = model
        self._facts: dict[str, bytes] = {}

    @classmethod
    def of(cls, config: RunConfig, model: ModelCard, options: Options) -> RowStyles | None:
        """Return the styles that the rows of a run may name; None without a library.

        Raises:
            StorageError: the filesystem of the library's URL cannot be used.
        """
        url = config.manifest.style_library
        return None if url is None else cls(StyleLibrary(url, options), model)

    def of_cell(self, cell: Any) -> tuple[LibraryStyle, ...]:  # noqa: ANN401 (whatever it holds)
        """Return the styles in a cell.

        Raises:
            InvalidRequestError: the cell is malformed, the library lacks a style, its file is
                damaged, another model has encoded it, or a weight is outside the range of the
                model.
            StyleError: the library has no styles at all.
            StorageError: the library cannot be read.
        """
        found = STYLE.kind.read(STYLE.name, cell)
        return tuple(self._style(name, weight, place) for place, (name, weight) in enumerate(found))

    def facts_of_cell(self, cell: Any) -> bytes:  # noqa: ANN401 (whatever it holds)
        """Return what the library says about a cell: it changes when one of the styles does."""
        key = repr(cell)
        known = self._facts.get(key)
        if known is None:
            if len(self._facts) >= _MOST_KEPT:
                self._facts.clear()
            known = self._facts[key] = self._facts_of(cell)
        return known

    def facts_of_column(self, column: pa.Array) -> pa.Array:
        """Return `facts_of_cell` of each cell of a column, `[n]`, large binary."""
        return pa.array(map(self.facts_of_cell, column.to_pylist()), pa.large_binary())

    def _facts_of(self, cell: Any) -> bytes:  # noqa: ANN401 (whatever it holds)
        try:
            styles = self.of_cell(cell)
        except InvalidRequestError as error:
            return str(error).encode(errors="surrogatepass")
        return " ".join(style.sha256 for style in styles).encode()

    def _style(self, name: str, weight: float, place: int) -> LibraryStyle:
        try:
            facts = self._library.facts(name)
        except StyleError as error:
            raise InvalidRequestError(STYLE.name, name, f"one that can be read: {error}") from error
        if facts is None:
            if not self._library.names():
                # A wrong URL must not turn the records of completed rows into failures.
                raise StyleError(
                    self._library.uri,
                    f"it has no styles, and a row names {name!r}; correct "
                    "manifest.style_library, or add styles by `uso style add`",
                )
            accepted = f"a style of {self._library.uri}; {self._library.nearest(name)}"
            raise InvalidRequestError(STYLE.name, name, accepted)
        if facts.model_fingerprint != self._model.fingerprint:
            theirs, ours = facts.model_fingerprint[:_SHOWN], self._model.fingerprint[:_SHOWN]
            raise InvalidRequestError(
                STYLE.name,
                name,
                f"a style that was made for {self._model.name} (fingerprint {ours}…): "
                f"{self._library.file_uri(name)} was made for {facts.model} ({theirs}…); "
                "`uso style add` makes it anew",
            )
        _check_weight(weight, self._model.limits, place)
        return LibraryStyle(name, facts.sha256, weight, facts.licence)


def _check_weight(weight: float, limits: Limits, place: int) -> None:
    if not 0 <= weight <= limits.max_style_weight:
        raise InvalidRequestError(
            f"{STYLE.name}[{place}].weight", weight, f"0 to {limits.max_style_weight:g}"
        )
