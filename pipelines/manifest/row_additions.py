"""Facts that rows take from the user's own columns: names of images, wishes, rights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from pipelines.config.schema import RunConfig
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.given_rights import RIGHTS_COLUMNS, given_rights
from pipelines.manifest.row_names import RowNames
from pipelines.manifest.row_wishes import RowWishes
from pipelines.rows import ManifestRow, RejectedRow


class RowAdditions:
    """Adds such facts to parsed rows.

    Attributes:
        has_rights: True if the manifest has columns with licences or wishes.
    """

    def __init__(self, config: RunConfig, plan: ColumnPlan, begun: date | None) -> None:
        """Look for the columns that the configuration names.

        Args:
            config: the configuration of the run.
            plan: the use of the columns.
            begun: the day on which the output was begun; None: today.

        Raises:
            ConfigError: a column is missing.
        """
        names = plan.extra_schema.names
        self._names = RowNames.of(config, names, begun)
        self._wishes = RowWishes.of(config, names)
        self.has_rights = not RIGHTS_COLUMNS.isdisjoint(names)

    def added(
        self, row: ManifestRow | RejectedRow, own: Mapping[str, Any]
    ) -> ManifestRow | RejectedRow:
        """Return the row with the facts; rejected if one of them is not accepted.

        Args:
            row: the row.
            own: the values of the user's own columns.
        """
        if self._names is not None and isinstance(row, ManifestRow):
            row = self._names.named(row, own)
        if self.has_rights and isinstance(row, ManifestRow):
            stated = given_rights(own, row.num_references)
            row = replace(row, given_rights=stated) if stated else row
        if self._wishes is not None and isinstance(row, ManifestRow):
            row = self._wishes.stated(row, own)
        return row
