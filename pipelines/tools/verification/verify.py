"""Reads all records and images of an output, and checks them against each other.

Streams: memory does not grow with the output, except 8 bytes for each image. Changes nothing, and
needs neither a cluster nor a driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.errors import LedgerError, StorageError
from pipelines.image_names import path_in_output
from pipelines.in_order import in_order
from pipelines.ledger.look import Look, look_in
from pipelines.ledger.parts import (
    Part,
    PartVanishedError,
    kept_batches,
    list_parts,
    open_part,
)
from pipelines.ledger.records import Records
from pipelines.record import columns_of_run, missing_value
from pipelines.storage.storage import Storage
from pipelines.tools.problems import Findings, Problem
from pipelines.tools.verification.counts import VerifyCounts
from pipelines.tools.verification.image_checks import (
    Fault,
    ImageCheck,
    RecordedImage,
    faults_of,
)
from pipelines.tools.verification.part_checks import check_part_digests
from pipelines.tools.verification.record_checks import RecordCheck
from pipelines.tools.verification.recorded_paths import RecordedPaths

_BATCH_ROWS = 512
_PART_READERS = 2
_IMAGE_READERS = 16
_OTHER_INPUTS = "its prompt, references, parameters and settings do not give its fingerprint"

Record = dict[str, Any]
Show = Callable[[str, int, int | None], None]
"""Called with the current step, the number of things done, and of all; None: unknown."""


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
        try:
            records = self._readable_records(counts)
        except PartVanishedError as error:
            reason = "compacted by a run while it was read; verify the output again"
            raise LedgerError(self.output.uri(str(error)), reason) from error
        if records is not None:
            self._find_unrecorded(self._check_images(records, counts))
        return counts

    def _readable_records(self, counts: VerifyCounts) -> Records | None:
        """Return all records of the parts that are not damaged; None if they contradict."""
        whole = self._whole_parts(counts)
        # Records of rows that left the manifest keep their images, so they are read, too.
        look = look_in(self.output, whole)
        self._note_repeats(look)
        try:
            return Records(self.output, look)
        except LedgerError as error:  # two parts have other types
            self.found.add(Problem("records_damaged", None, None, 0, error.reason, error.uri))
            return None

    def _whole_parts(self, counts: VerifyCounts) -> list[Part]:
        """Read every page of every part, and return the ones that are not damaged."""
        parts = list_parts(self.output)
        whole: list[Part] = []
        empty: list[str] = []
        read = in_order(self._read_part, parts, _PART_READERS)
        for done, (part, rows) in enumerate(zip(parts, read, strict=True), 1):
            if isinstance(rows, int):
                whole.append(part)
                empty += [] if rows else [part.path]
            else:
                uri = self.output.uri(part.path)
                self.found.add(Problem("records_damaged", None, None, 0, rows, uri=uri))
            self.show("reading the records", done, len(parts))
        damaged = {part.path for part in parts} - {part.path for part in whole}
        check_part_digests(self.output, whole, frozenset(empty), frozenset(damaged), self.found)
        counts.parts = len(parts)
        return whole

    def _read_part(self, part: Part) -> int | str:
        """Return the number of records in a part, or its damage."""
        try:
            rows: int = open_part(self.output, part).metadata.num_rows
            for _ in kept_batches(self.output, part, np.ones(rows, bool), None, _BATCH_ROWS):
                pass
            look_in(self.output, [part])
        except LedgerError as error:
            return error.reason
        return rows

    def _note_repeats(self, look: Look) -> None:
        for part, mask in look.by_part():
            if mask.all():
                continue
            for batch in kept_batches(self.output, part, ~mask, ["id"], 8192):
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
        check = RecordCheck(self.output)
        yield from self._images_of(records, check, counts, paths)
        self._add_unchecked(check)

    def _images_of(
        self, records: Records, check: RecordCheck, counts: VerifyCounts, paths: RecordedPaths
    ) -> Iterator[RecordedImage]:
        columns = columns_of_run(records.schema)
        for batch in records.batches(columns, batch_rows=_BATCH_ROWS):
            counts.records += len(batch)
            rows = [*_completed(batch)]
            known = (path_in_output(uri) for record in rows for uri in record["outputs"])
            paths.add([path for path in known if path is not None])
            for record in rows:
                uris = record["outputs"]
                counts.completed += 1
                counts.images += len(uris)
                if name := missing_value(record):
                    self._add_changed(record, f"{name} is null, which no run writes: the record")
                    continue
                if not check.agrees(record):
                    self._add_changed(
                        record, f"{_OTHER_INPUTS}: the record, or run/ID.json of its run,"
                    )
                yield from map(partial(self._image, record, check.signs(record)), range(len(uris)))

    def _add_changed(self, record: Record, reason: str) -> None:
        message = f"{reason} was changed; generate the row again"
        place = f"run_id {record['run_id']}"
        self.found.add(Problem("record_changed", None, record["id"], 1, message, place))

    def _add_unchecked(self, check: RecordCheck) -> None:
        """Add the runs against whose configuration no record could be checked."""
        for run_id, rows in check.lost.items():
            message = (
                f"the file of this run is gone or damaged, so the fingerprints of its {rows:,} "
                "records cannot be checked, and uso replay cannot draw them without --config; "
                "restore it"
            )
            uri = self.output.uri(f"run/{run_id}.json")
            self.found.add(Problem("run_missing", None, None, rows, message, uri))
        for run_id, rows in check.foreign.items():
            message = (
                "this version does not accept the configuration of this run, so the fingerprints "
                f"of its {rows:,} records are not checked; verify with the version that wrote it"
            )
            uri = self.output.uri(f"run/{run_id}.json")
            self.found.add(Problem("run_unread", None, None, rows, message, uri, "note"))

    def _image(self, record: Record, must_be_signed: bool, index: int) -> RecordedImage:
        uri = record["outputs"][index]
        path = path_in_output(uri)
        place = uri if path is None else self.output.uri(path)
        return RecordedImage(record, index, place, must_be_signed)

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
