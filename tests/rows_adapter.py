"""The only module of the tests of golden rows that imports the code under test.

`Rows` holds the rows of a manifest before a run works on them, and the records that they leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from PIL import Image

from pipelines import RunConfig
from pipelines.failures import CODES, Failure
from pipelines.image_names import image_path
from pipelines.keys.index import row_key
from pipelines.manifest.manifest import Manifest
from pipelines.manifest.row_identity import Fingerprints, content_hash, derived_seed, shard_of
from pipelines.record import RECORD_NAMES, RunFacts, make_record, record_schema
from pipelines.rows import ManifestEntry, ManifestRow, Outcome, RejectedRow
from pipelines.storage.storage import Storage
from pipelines.worker.sink import FolderSink, ImageFile
from uso_core import Limits, ModelCard, Parameters

__all__ = [
    "RECORD_NAMES",
    "Rows",
    "content_hash",
    "failures",
    "rejected_fingerprint",
    "saved_names",
]

_TINY = Limits(min_size=16, max_size=256, default_size=64)
_FACTS = RunFacts(run_id="run", model="base", preset="exact")
_MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)
_SHARDS = 7


class Rows:
    """Reads all rows of a manifest.

    Args:
        urls: URLs of its files.
        sections: sections of the configuration.
        model: the model's fingerprint.
        is_tiny: True if the limits are those of the tiny model.
    """

    def __init__(
        self, urls: Sequence[str], sections: Mapping[str, Any], model: str, *, is_tiny: bool
    ) -> None:
        manifest = {"path": list(urls), **sections.get("manifest", {})}
        output = {"path": "/tmp/out", **sections.get("output", {})}
        self._config = RunConfig.model_validate(
            {**sections, "manifest": manifest, "output": output}
        )
        limits = _TINY if is_tiny else Limits()
        self._manifest = Manifest.open(self._config, ModelCard("base", "original", limits, model))
        self._schema = record_schema(self._manifest.extra_schema)
        self.entries = list(self._manifest.entries())

    @property
    def schema(self) -> pa.Schema:
        """The schema of the records."""
        return self._schema

    def identities(self) -> Iterator[dict[str, Any]]:
        """Yield the id, the hashes and the fate of each row."""
        for entry in self.entries:
            row = entry.row
            yield {
                "id": row.id,
                "fingerprint": row.fingerprint,
                "source_digest": entry.source_digest,
                "rejected": _rejected(row),
            }

    def names(self) -> Iterator[dict[str, Any]]:
        """Yield the seeds, the shard and the file names that follow from each row's id."""
        for entry in self.entries:
            row_id, seed = entry.row.id, self._config.stylize.seed
            yield {
                "seeds": [derived_seed(seed, row_id, count) for count in (1, 8)],
                "shard": shard_of(row_key(row_id), _SHARDS),
                "images": [image_path(row_id, 0, 1, "png"), image_path(row_id, 2, 3, "png")],
            }

    def records(self) -> pa.Table:
        """Make the records; valid rows count as completed, at the size that they ask for."""
        made = [
            make_record(entry, _outcome(entry), _FACTS, attempt=1, created_at=_MOMENT)
            for entry in self.entries
        ]
        return pa.Table.from_pylist(made, schema=self._schema)


def saved_names(file_format: str) -> list[str]:
    """Store two images of a row and return their paths."""
    storage = Storage.at("memory://golden/out")
    config = RunConfig.model_validate(
        {"manifest": {"path": "a"}, "output": {"path": "b", "format": file_format}}
    )
    row = ManifestRow("row", "", None, (), Parameters(), "")
    encoding = config.output.encoding
    file = ImageFile(encoding.encode(Image.new("RGB", (16, 16))), encoding.extension)
    stored = FolderSink(storage).save(row, [file, file])
    return [one.uri.removeprefix(storage.uri("")).lstrip("/") for one in stored]


def rejected_fingerprint(content: str, message: str) -> str:
    """Compute the fingerprint of a row that was rejected with this message."""
    config = RunConfig.model_validate({"manifest": {"path": "a"}, "output": {"path": "b"}})
    return Fingerprints(config, "0123abcd").of_rejected(content, message)


def failures() -> dict[str, dict[str, Any]]:
    """Return the stage of each failure code and whether it is retryable."""
    return {
        code: {"stage": failure.stage, "retryable": failure.retryable}
        for code in CODES
        for failure in [Failure(code, "why")]
    }


def _rejected(row: ManifestRow | RejectedRow) -> dict[str, str | None] | None:
    if isinstance(row, ManifestRow):
        return None
    return {"column": row.column, "code": row.failure.code}


def _outcome(entry: ManifestEntry) -> Outcome:
    row = entry.row
    if isinstance(row, RejectedRow):
        return Outcome(row_id=row.id, failure=row.failure)
    count = row.parameters.num_images
    paths = tuple(image_path(row.id, index, count, "png") for index in range(count))
    return Outcome(
        row_id=row.id,
        outputs=paths,
        sha256=tuple(f"{index:064x}" for index in range(count)),
        width=row.parameters.width or 1024,
        height=row.parameters.height or 1024,
        prompt_truncated=False,
    )
