"""Reads all records and images of an output, and checks them against each other.

Streams: memory does not grow with the output, except 8 bytes for each image. Changes nothing, and
needs neither a cluster nor a driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.errors import LedgerError, StorageError
from pipelines.image_names import path_in_output
from pipelines.in_order import in_order
from pipelines.ledger.parts import Part, kept_batches, list_parts, open_part
from pipelines.ledger.records import Records
from pipelines.ledger.scan import Scan, scan_parts
from pipelines.storage.storage import Storage
from pipelines.tools.problems import Findings, Problem
from pipelines.tools.verification.image_checks import (
    Fault,
    ImageCheck,
    RecordedImage,
    faults_of,
)
from pipelines.tools.verification.recorded_paths import RecordedPaths

_BATCH_ROWS = 512
_PART_READERS = 2
_IMAGE_READERS = 16

Record = dict[str, Any]
Show = Callable[[str, int, int | None], None]
"""Called with the current step, the number of things done, and of all; None: unknown."""


@dataclass(slots=True)
class VerifyCounts:
    """Numbers of the things that were looked at.

    Attributes:
        parts: files of records.
        records: rows with a record.
        completed: rows whose record is completed.
        images: images that records name.
        image_bytes: bytes of images that were read.
    """

    parts: int = 0
    records: int = 0
    completed: int = 0
    images: int = 0
    image_bytes: int = 0


class _Checked(NamedTuple):
    image: RecordedImage
    num_bytes: int
    faults: list[Fault]


@dataclass(slots=True)
class OutputVerifier:
    """Checks one output.

    Attributes:
        output: the output.
        checks: the checks of each image.
        found: takes the problems.
        show: called with the progress.
    """

    output: Storage
    checks: Sequence[ImageCheck]
    found: Findings
    show: Show = lambda _step, _done, _total: None

    def verify(self) -> VerifyCounts:
        """Check the records, their images, and the files that no record names.

        Raises:
            LedgerError: `records/` holds a foreign file, or a run compacted the records meanwhile.
            StorageError: a store failed; a file that does not exist is a problem, and no error.
        """
        counts = VerifyCounts()
        whole = self._whole_parts(counts)
        scan = scan_parts(self.output, whole)
        self._note_repeats(scan)
        # Records of rows that left the manifest keep their images, so they are read, too.
        records = Records(self.output, replace(scan, counting=scan.wins))
        paths = self._check_images(records, counts)
        self._find_unrecorded(paths)
        return counts

    def _whole_parts(self, counts: VerifyCounts) -> list[Part]:
        """Read every page of every part, and return the ones that are not damaged."""
        parts = list_parts(self.output)
        whole = []
        read = in_order(self._read_part, parts, _PART_READERS)
        for done, (part, damage) in enumerate(zip(parts, read, strict=True), 1):
            if damage is None:
                whole.append(part)
            else:
                uri = self.output.uri(part.path)
                self.found.add(Problem("records_damaged", None, None, 0, damage, uri=uri))
            self.show("reading the records", done, len(parts))
        counts.parts = len(parts)
        return whole

    def _read_part(self, part: Part) -> str | None:
        """Return the damage of a part; None if it is whole."""
        try:
            rows = open_part(self.output, part).metadata.num_rows
            for _ in kept_batches(self.output, part, np.ones(rows, bool), None, _BATCH_ROWS):
                pass
        except LedgerError as error:
            return error.reason
        return None

    def _note_repeats(self, scan: Scan) -> None:
        for part, mask in scan.by_part(~scan.wins):
            if not mask.any():
                continue
            for batch in kept_batches(self.output, part, mask, ["id"], 8192):
                for row_id in batch["id"].to_pylist():
                    message = (
                        "an older record of this id is still there, as during a run or after a "
                        "killed one; the latest counts, and the next run that ends keeps only it"
                    )
                    uri = self.output.uri(part.path)
                    self.found.add(
                        Problem("repeated_id", "id", row_id, 1, message, uri, severity="note")
                    )

    def _check_images(self, records: Records, counts: VerifyCounts) -> RecordedPaths:
        paths = RecordedPaths()
        images = self._images(records, counts, paths)
        checked = in_order(self._checked, images, _IMAGE_READERS)
        total = records.counts().completed
        for done, one in enumerate(checked, 1):
            counts.image_bytes += one.num_bytes
            for fault in one.faults:
                self.found.add(
                    Problem(
                        fault.kind, None, one.image.record["id"], 1, fault.message, one.image.place
                    )
                )
            self.show("reading the images", done, max(done, total))
        return paths

    def _images(
        self, records: Records, counts: VerifyCounts, paths: RecordedPaths
    ) -> Iterator[RecordedImage]:
        for batch in records.batches(batch_rows=_BATCH_ROWS):
            counts.records += len(batch)
            for record in _completed(batch):
                uris = record["outputs"]
                counts.completed += 1
                counts.images += len(uris)
                known = map(path_in_output, uris)
                paths.add([path for path in known if path is not None])
                yield from map(partial(self._image, record), range(len(uris)))

    def _image(self, record: Record, index: int) -> RecordedImage:
        uri = record["outputs"][index]
        path = path_in_output(uri)
        return RecordedImage(record, index, uri if path is None else self.output.uri(path))

    def _checked(self, image: RecordedImage) -> _Checked:
        path = image.path
        if path is None:
            message = "the record names no image of an output; generate the row again"
            return _Checked(image, 0, [Fault("record_changed", message)])
        try:
            data = self.output.read(path)
        except StorageError as error:
            if error.fault != "not_found":
                raise
            message = (
                "the file does not exist; restore it, or generate the row again with uso run "
                "--check-images"
            )
            return _Checked(image, 0, [Fault("image_missing", message)])
        return _Checked(image, len(data), faults_of(image, data, self.checks))

    def _find_unrecorded(self, paths: RecordedPaths) -> None:
        self.show("listing the images", 0, None)
        message = (
            "no completed record names this file: its record is lost, a run was killed before it "
            "was written, or the row was generated again under another name; rerun the command of "
            "the run, and delete the file if it is still listed"
        )
        for others in paths.others(self.output):
            for path in others:
                uri = self.output.uri(path)
                self.found.add(Problem("unrecorded_image", None, None, 0, message, uri))


def _completed(batch: pa.RecordBatch) -> Iterator[Record]:
    return (record for record in batch.to_pylist() if record["status"] == "completed")
