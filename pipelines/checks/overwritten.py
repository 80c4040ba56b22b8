"""Finds records whose image was replaced by another file, before a new record was written.

A row may be generated again under the name of its image: because the row has changed, or as a
further try. Before a worker replaces an image, it leaves a note (`overwrite_note`). If the run is
killed before the new record is written, the old one has the hash of a file that is gone, and the
next run need not have a reason to generate that row: its configuration may be the one of the old
image again. So each run looks at the images with a note, and at no other ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from pipelines.checks.images import LostImage, Show, lost_by_content
from pipelines.image_names import OVERWRITTEN, overwrite_note, path_in_output
from pipelines.in_order import in_order
from pipelines.ledger.records import Records
from pipelines.storage.storage import Storage

_DELETERS = 16


def settle_overwritten(
    output: Storage, records: Callable[[], Records], show: Show = lambda _step, _done: None
) -> list[LostImage]:
    """Remove the notes of images that are as recorded; call it while no row is at work.

    One listing, if there are no notes.

    Args:
        output: the output.
        records: reads all records, also the ones that do not count.
        show: see `Show`.

    Returns:
        The images that are other files than their records say. Their notes stay.

    Raises:
        LedgerError, StorageError: a note, a record or an image cannot be read, or not be removed.
    """
    notes = frozenset(output.list(OVERWRITTEN))
    if not notes:
        return []
    noted = Counter(map(_image, notes))

    def is_doubtful(path: str, sha256: str) -> bool:
        note = overwrite_note(path, sha256)
        count = noted[_image(note)]
        return count > 1 or (count == 1 and note not in notes)

    lost = list(lost_by_content(records(), output, show, is_doubtful))
    kept = {_image(overwrite_note(path_in_output(image.uri) or "", "")) for image in lost}
    settled = [note for note in notes if _image(note) not in kept]
    for _ in in_order(output.delete, settled, _DELETERS):
        pass
    return lost


def _image(note: str) -> str:
    """Return the part of a note's path that stands for its image."""
    return note.rpartition("-")[0]
