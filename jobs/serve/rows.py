"""A task as a row for the actors, and the outcome of the row as files of the task."""

from __future__ import annotations

import hashlib
import json

from jobs.serve.errors import unknown
from jobs.serve.store.files import FileStore, row_of
from jobs.serve.store.tasks import Images
from jobs.serve.task import Output, Task
from jobs.serve.task import Reference as TaskReference
from pipelines.formats import FORMATS, FormatName
from pipelines.handling import Handling
from pipelines.image_names import image_path
from pipelines.rows import Entry, ManifestRow, Outcome, Reference
from uso_core.request import Parameters


async def row_of_task(task: Task, files: FileStore) -> Entry[ManifestRow]:
    """Return the row for a task; uploads travel in it as bytes.

    Raises:
        ApiError: an upload was deleted.
        StorageError: an upload cannot be read.
    """

    async def resolved(reference: TaskReference) -> Reference:
        if reference.uri is not None:
            return reference.uri
        file = await files.find(str(reference.file_id), expired=True)
        if file is None:
            raise unknown("file")
        return await files.read(file)

    drawing = task.drawing
    weights = drawing.style_weights
    row = ManifestRow(
        id=task.id,
        prompt=drawing.prompt,
        content_image=None if drawing.content is None else await resolved(drawing.content),
        style_images=tuple([await resolved(style) for style in drawing.styles]),
        parameters=Parameters(**drawing.parameters),
        fingerprint=hashlib.sha256(json.dumps(drawing.as_json()).encode()).hexdigest()[:32],
        style_weights=None if weights is None else tuple(weights),
        handling=Handling(urgent=task.lane == "interactive", watched=True),
    )
    return Entry(row)


async def message_of(task: Task, message: str, files: FileStore) -> str:
    """Return the message of a failure with the images by the names that the request has for them.

    A row holds uploads and inline images as bytes, and its messages name them by their hash.
    """
    drawing = task.drawing
    for reference in (drawing.content, *drawing.styles):
        if reference is None or not reference.field:
            continue
        if reference.uri is not None:
            message = message.replace(reference.uri, f"{reference.field} {reference.uri}", 1)
            continue
        file = await files.find(str(reference.file_id), expired=True)
        if file is not None and file.sha256 is not None:
            name = f"{reference.field} ({file.filename})"
            message = message.replace(f"sha256:{file.sha256}", name)
    return message


def outputs_of(task: Task, outcome: Outcome, format_name: FormatName, files: FileStore) -> Images:
    """Return the images that a row has left."""
    # It imports pyarrow, and the server listens before.
    from pipelines.record import NSFW_CONTENTS  # noqa: PLC0415

    known = FORMATS[format_name]
    extension, count = known.extensions[0], len(outcome.outputs)
    verdicts = outcome.image_values.get(NSFW_CONTENTS, (None,) * count)
    outputs, rows = [], []
    for place in range(count):
        path = image_path(task.id, place, count, extension)
        suffix = f"_{place}" if count > 1 else ""
        filename = f"{task.id}{suffix}.{extension}"
        size = outcome.image_bytes[place]
        file = files.new(
            task.key_id, "output", filename, known.mime_type, size=size, task_id=task.id
        )
        rows.append({**row_of(file), "path": path, "sha256": outcome.sha256[place]})
        outputs.append(
            Output(
                file_id=file.id,
                filename=filename,
                content_type=known.mime_type,
                size=size,
                nsfw=verdicts[place],
            )
        )
    return outputs, rows
