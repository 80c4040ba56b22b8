"""Takes the ordinary rows that are not on record out of batches."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from pipelines.keys.index import halves_of
from pipelines.manifest.arrow_batch import ArrowBatch
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.ordinary import OrdinaryRowFinder, OrdinaryRows
from pipelines.manifest.passes import GivenIds
from pipelines.manifest.skipping import SkippableRows
from pipelines.manifest.source_digest import id_keys
from pipelines.manifest.table import RowBatch


@dataclass(frozen=True, slots=True)
class OrdinarySplit:
    """Splits batches for a pass that only counts valid rows.

    Attributes:
        plan: the use of the columns.
        finder: finds ordinary rows.
        given: the ids; None: no row is taken out.
        done: the rows on record; None: there are none.
    """

    plan: ColumnPlan
    finder: OrdinaryRowFinder
    given: GivenIds | None
    done: SkippableRows | None

    def split(self, batch: RowBatch, folder: str) -> tuple[RowBatch, OrdinaryRows | None]:
        """Return the other rows, and the ordinary ones; None: there are none.

        Args:
            batch: some rows.
            folder: the base of their relative references.
        """
        name = self.plan.inputs.get("id")
        if self.given is None or not isinstance(batch, ArrowBatch):
            return batch, None
        if name is not None and name not in batch.columns.schema.names:
            return batch, None  # ids are made, and others may have them
        batch.check_extras()
        mask = self.finder.mask(batch.columns)
        mask[list(batch.large)] = False
        if name is not None and mask.any():
            ids = batch.columns.column(name)
            mask &= self.given.unique(ids)
            if self.done is not None and (keys := id_keys(ids)) is not None:
                mask &= ~self.done.is_recorded(*halves_of(keys), ids.cast(pa.string()))
        if not mask.any():
            return batch, None
        ordinary = batch.columns.filter(pa.array(mask))
        return batch.where(~mask), self.finder.rows(ordinary, folder)
