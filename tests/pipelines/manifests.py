"""Small manifests and the configuration to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config.schema import RunConfig
from pipelines.manifest.manifest import Manifest
from pipelines.rows import ManifestEntry, ManifestRow, RejectedRow
from uso_core.loading.source import ModelCard
from uso_core.request import Limits

CARD = ModelCard(name="base", layout="original", limits=Limits(), fingerprint="0123abcd")


def config(path: str | Path | Sequence[str], **sections: Any) -> RunConfig:
    """The configuration for a manifest; `manifest={...}` adds to that section."""
    manifest = {
        "path": list(path) if isinstance(path, list | tuple) else str(path),
        **sections.pop("manifest", {}),
    }
    return RunConfig.model_validate(
        {"manifest": manifest, "output": {"path": "/tmp/out"}, **sections}
    )


def write(path: Path, columns: Mapping[str, Any] | pa.Table, **options: Any) -> Path:
    """A Parquet file; returns its path."""
    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def opened(path: str | Path | Sequence[str], **sections: Any) -> Manifest:
    return Manifest.open(config(path, **sections), CARD)


def entries(path: str | Path | Sequence[str], **sections: Any) -> list[ManifestEntry]:
    return list(opened(path, **sections).entries())


def valid(entry: ManifestEntry) -> ManifestRow:
    assert isinstance(entry.row, ManifestRow), entry.row
    return entry.row


def rejected(entry: ManifestEntry) -> RejectedRow:
    assert isinstance(entry.row, RejectedRow), entry.row
    return entry.row
