"""The places of images: the worker's own one, and those of rows that name another."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.errors import StorageError
from pipelines.failures import Failure, RowFailedError
from pipelines.formats import ImageEncoding
from pipelines.handling import Destination
from pipelines.rows import ManifestRow
from pipelines.storage.storage import Storage
from pipelines.worker.sink import FolderSink, Sink
from pipelines.worker.spec import StylizerSpec

_KEPT = 8


@dataclass(frozen=True, slots=True)
class Place:
    """The place and the form of the images of a row.

    Attributes:
        sink: takes the images.
        encoding: their format.
        recipe_model: name of the model in their recipes; None: they hold none.
        stores_withheld: True if images are stored whose row fails the safety check.
    """

    sink: Sink
    encoding: ImageEncoding
    recipe_model: str | None
    stores_withheld: bool = False


class Places:
    """Finds the place of a row. Thread-safe."""

    def __init__(self, own: Place, options: Mapping[str, Mapping[str, Any]]) -> None:
        """Use `own` for rows without a destination; `options` are those of all stores."""
        self._own = own
        self._options = options
        self._lock = threading.Lock()
        self._places: OrderedDict[Destination, Place] = OrderedDict()

    def of(self, row: ManifestRow) -> Place:
        """Return the place of a row's images.

        Raises:
            RowFailedError: `storage_write`; there can be no such folder.
        """
        destination = None if row.handling is None else row.handling.destination
        if destination is None:
            return self._own
        with self._lock:
            if destination not in self._places:
                self._places[destination] = self._made(destination)
            self._places.move_to_end(destination)
            while len(self._places) > _KEPT:
                self._places.popitem(last=False)
            return self._places[destination]

    def _made(self, destination: Destination) -> Place:
        try:
            folder = Storage.at(
                destination.path,
                self._options,
                patience_s=destination.give_up_after_s,
                create=False,
            )
        except StorageError as error:
            failure = Failure("storage_write", str(error), uri=error.uri)
            raise RowFailedError(failure) from error
        folder.creates = destination.creates
        sink = FolderSink(folder, destination.run_id)
        return Place(sink, destination.encoding, destination.recipe_model)


def folder_of(spec: StylizerSpec) -> FolderSink:
    """Return a sink for the folder of a worker's own.

    Raises:
        ValueError: the specification has none.
    """
    output = spec.output
    if output is None:
        raise ValueError("the specification has no output; give it one, or give a sink")
    is_ours_alone = spec.run_id is None
    folder = Storage.at(
        output.path, spec.storage, patience_s=output.give_up_after_s, create=is_ours_alone
    )
    folder.creates = spec.creates
    return FolderSink(folder, spec.run_id)
