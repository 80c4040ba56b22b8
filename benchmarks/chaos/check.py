"""Checks a copy of an output against the guarantees."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.chaos.inputs import Inputs
from pipelines.storage.local_files import is_leftover


@dataclass(frozen=True, slots=True)
class Findings:
    """The content of one output, and its violations.

    Attributes:
        lost: rows without a record.
        duplicated: rows with several records.
        unreadable: images that are missing or differ from their record.
        others: descriptions of all other violations.
        sha256: row id → hashes of its images.
        generation_s: path of an image → seconds that its row took to generate.
    """

    lost: tuple[str, ...]
    duplicated: tuple[str, ...]
    unreadable: tuple[str, ...]
    others: tuple[str, ...]
    sha256: Mapping[str, tuple[str, ...]]
    generation_s: Mapping[str, float]

    @property
    def violations(self) -> list[str]:
        """Descriptions of all violations."""
        return [
            *(f"row {i} is lost" for i in self.lost),
            *(f"row {i} has several records" for i in self.duplicated),
            *(f"output {path} is not as recorded" for path in self.unreadable),
            *self.others,
        ]


def check_output(
    folder: Path, output: str, inputs: Inputs, undisturbed: Mapping[str, tuple[str, ...]]
) -> Findings:
    """Compare an output with the manifest and with the images of an undisturbed run.

    Args:
        folder: holds a copy of the output, below the name of its bucket.
        output: URL of the output.
        inputs: the manifest and the expected results.
        undisturbed: row id → hashes of its images; empty to skip the comparison.
    """
    bucket_path = _path_in(output)
    records = _records(folder / bucket_path / "records")
    counts = Counter(record["id"] for record in records)
    unreadable: list[str] = []
    recorded: set[Path] = set()
    generation_s: dict[str, float] = {}
    for record in records:
        for uri, digest in zip(record["outputs"] or [], record["sha256"] or [], strict=True):
            path = folder / _path_in(uri)
            recorded.add(path)
            generation_s["/" + _path_in(uri)] = _generation_s(record)
            if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                unreadable.append(uri)
    images = (folder / bucket_path / "images").rglob("*")
    found = {path for path in images if path.is_file() and not is_leftover(path.name)}
    sha256 = {record["id"]: tuple(record["sha256"] or ()) for record in records}
    return Findings(
        lost=tuple(i for i in inputs.ids if i not in counts),
        duplicated=tuple(i for i, count in counts.items() if count > 1),
        unreadable=tuple(unreadable),
        others=(
            *(f"row {i} is not in the manifest" for i in set(counts) - set(inputs.ids)),
            *(f"image {path} has no record" for path in sorted(found - recorded)),
            *_wrong_ends(records, inputs),
            *(
                f"row {i} differs from the undisturbed run's"
                for i, digests in undisturbed.items()
                if i in sha256 and sha256[i] != digests
            ),
        ),
        sha256=sha256,
        generation_s=generation_s,
    )


def _path_in(url: str) -> str:
    return url.partition("://")[2] or url  # a local path is its own


def _records(folder: Path) -> list[dict[str, Any]]:
    """Read all records without deduplication."""
    return [
        record
        for part in sorted(folder.glob("*.parquet"))
        for record in pq.read_table(part).to_pylist()
    ]


def _wrong_ends(records: list[dict[str, Any]], inputs: Inputs) -> list[str]:
    wrong = []
    for record in records:
        code = record["error"]["code"] if record["status"] == "failed" else None
        expected = inputs.codes.get(record["id"])
        if code != expected:
            detail = record["error"]["message"] if code else ""
            wrong.append(f"row {record['id']} ended with {code}, not {expected} {detail}")
    return wrong


def _generation_s(record: dict[str, Any]) -> float:
    timings = record["timings"]
    return sum(timings[part] or 0 for part in ("condition", "inference", "decode")) / 1000
