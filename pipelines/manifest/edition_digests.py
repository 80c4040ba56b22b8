"""Finds the edition of each file of a manifest, see `pipelines.editions`.

The digest of an edition covers all that the digests, the ids and the repeats of its rows follow
from: the file itself, by a mark of its store that no other content ever gets; the files before it,
whose rows may have the same ids; and the settings. So equal editions have equal rows. Different
editions may have them, too: those are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from pipelines.config.inputs import ManifestConfig
from pipelines.editions import Edition
from pipelines.manifest.columns import ColumnPlan
from pipelines.manifest.row_identity import encoded
from pipelines.manifest.source_digest import SourceDigests
from pipelines.manifest.table import Table

_BYTES = 8
# The choice of files and rows: the digest of a file covers the files before it.
_CHOICE = {"path", "limit", "ids", "partial"}


def find_editions(
    tables: Sequence[Table], config: ManifestConfig, plan: ColumnPlan, digests: SourceDigests
) -> list[Edition | None]:
    """Return the edition of each table; None where a later run has to read the rows.

    Args:
        tables: the files, in order.
        config: the section of the run.
        plan: the use of the columns.
        digests: computes the digests of the rows.
    """
    if digests.settings is None:
        return [None] * len(tables)
    # Without defaults, so that a new key changes no edition.
    keys = config.model_dump(mode="json", exclude=_CHOICE, exclude_defaults=True)
    facts = [digests.settings, keys, _facts_of(plan)]
    chain = blake2b(encoded(facts).encode())
    found: list[Edition | None] = []
    for table in tables:
        data = table.file.data
        if not data.mark:  # no row after this one has a known place either
            break
        chain.update(encoded([data.uri, data.size, data.mark, _table_facts(table)]).encode())
        digest = int.from_bytes(chain.digest()[:_BYTES], "little", signed=True)
        found.append(Edition(digest, table.groups) if table.groups else None)
    return found + [None] * (len(tables) - len(found))


def _facts_of(plan: ColumnPlan) -> Mapping[str, object]:
    own = zip(plan.extra_sources, plan.extra_schema, strict=True)
    return {
        "inputs": plan.inputs,
        "own": [[source, field.name, str(field.type)] for source, field in own],
    }


def _table_facts(table: Table) -> list[object]:
    file = table.file
    columns = [[field.name, str(field.type)] for field in table.schema]
    read = [file.folder, file.format, file.partitions, file.max_row_bytes, table.typed]
    return [*read, columns, table.groups]
