"""Judges the rows of one run that were drawn again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.display import display_reference
from pipelines.errors import StorageError
from pipelines.failures import Failure
from pipelines.image_names import path_in_output
from pipelines.record import LIBRARY_STYLES, UNSIGNED_SHA256
from pipelines.replay.differences import (
    Difference,
    named_references,
    reference_differences,
    row_differences,
)
from pipelines.replay.images import Distance, distance_of, tolerance_of
from pipelines.replay.stored_run import StoredRun
from pipelines.replay.verdict import Verdict
from pipelines.rows import Outcome
from pipelines.storage.storage import Storage
from pipelines.storage.urls import redact_uri
from pipelines.worker.library_styles import REPLACED

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares new images with recorded ones.

    Attributes:
        output: the output with the recorded images.
        drawn: the folder with the new images.
        preset: the preset with which they were drawn.
        run: the run that recorded the rows; None: unknown.
        common: differences that all rows of the run have.
        batched: True if the rows may have shared batches.
    """

    output: Storage
    drawn: Storage
    preset: str
    run: StoredRun | None
    common: Sequence[Difference]
    batched: bool

    def verdict(self, record: Record, outcome: Outcome, *, is_sure: bool) -> Verdict:
        """Return the verdict on a row.

        Args:
            record: its record.
            outcome: its outcome now.
            is_sure: True if its values give the recorded fingerprint.

        Raises:
            StorageError: images cannot be read.
        """
        found = [
            *self.common,
            *row_differences(record, outcome, self.preset, self.run),
            *reference_differences(record, outcome),
        ]
        if not is_sure:
            found.append(
                Difference(
                    "record",
                    "fingerprint",
                    "fingerprint: the values of the record do not give it, so one of them was "
                    "changed, or is not recorded",
                )
            )
        if outcome.failure is not None:
            failed = _failed(record, outcome.failure)
            return Verdict(record["id"], "different", [failed, *found])
        if [*_hashes(outcome)] == (record.get(UNSIGNED_SHA256) or record["sha256"]):
            return Verdict(record["id"], "equal", found)
        if self.batched:
            message = "stylize.batch_images: the last bits depend on the rows of a batch"
            found.append(Difference("batch", "stylize.batch_images", message))
        return self._compared(record, outcome, found)

    def clear(self, outcome: Outcome) -> None:
        """Remove the new images of a row.

        Raises:
            StorageError: they cannot be removed.
        """
        for uri in outcome.outputs:
            self.drawn.delete(_path(uri))

    def _compared(
        self, record: Record, outcome: Outcome, differences: Sequence[Difference]
    ) -> Verdict:
        row_id, worst = record["id"], Distance(float("inf"), 0)
        if len(outcome.outputs) != len(record["outputs"]):
            message = f"{len(outcome.outputs)} images now, {len(record['outputs'])} then"
            return Verdict(row_id, "different", differences, None, message)
        images = zip(outcome.outputs, record["outputs"], record["sha256"], strict=True)
        for new, old, sha256 in images:
            compared = self._distance(new, old, sha256)
            if isinstance(compared, str):
                return Verdict(row_id, "different", differences, None, compared)
            worst = Distance(min(worst.psnr, compared.psnr), max(worst.largest, compared.largest))
        if tolerance_of(self.preset).allows(worst):
            return Verdict(row_id, "within_tolerance", differences, worst, str(worst))
        return Verdict(row_id, "different", differences, worst, str(worst))

    def _distance(self, new: str, old: str, sha256: str) -> Distance | str:
        """Return the distance of an image from the recorded one, or the reason without one."""
        shown = redact_uri(old)
        try:
            recorded = self.output.read(path_in_output(old) or old)
        except StorageError as error:
            if error.fault != "not_found":
                raise
            return f"{shown}: the recorded image is missing; see uso verify"
        if hashlib.sha256(recorded).hexdigest() != sha256:
            return f"{shown}: the recorded image was changed; see uso verify"
        try:
            distance = distance_of(recorded, self.drawn.read(_path(new)))
        except OSError as error:
            return f"{shown}: cannot be decoded ({error})"
        return distance or f"{shown}: its size is another one now"


def _hashes(outcome: Outcome) -> Sequence[str]:
    """Return the hash of each new file before it was signed: signatures are random."""
    return outcome.image_values.get(UNSIGNED_SHA256) or outcome.sha256


def _failed(record: Record, failure: Failure) -> Difference:
    """Return the difference of a row that cannot be drawn any more."""
    if failure.uri is not None and failure.code.startswith("uri_"):
        name = next(_columns_of(record, failure), "reference")
        if REPLACED in failure.message:
            return Difference("reference_changed", name, f"{name}: {REPLACED} now")
        return Difference("reference_gone", name, f"{name}: {failure.code}: {failure.message}")
    return Difference("failure", failure.code, f"{failure.code}: {failure.message}")


def _columns_of(record: Record, failure: Failure) -> Iterator[str]:
    for name, reference in named_references(record):
        if redact_uri(display_reference(reference)) == failure.uri:
            yield name
    for style in record.get(LIBRARY_STYLES) or ():
        if f"style {style['name']!r}:" in failure.message:
            yield f"style {style['name']}"


def _path(uri: str) -> str:
    path = path_in_output(uri)
    assert path is not None  # a worker has named it
    return path
