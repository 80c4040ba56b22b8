"""Files: uploads and images. The bytes are below one folder of any store, the facts in SQL."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import sqlalchemy as sa

from jobs.serve.errors import ApiError, unknown
from jobs.serve.store.database import Database, now_ms
from jobs.serve.store.tables import files
from jobs.serve.task import new_id
from pipelines.storage.storage import Storage

Role = Literal["input", "output"]
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file; see the table.

    Attributes:
        path: its place below the folder; None: announced, and not uploaded yet.
        size: its bytes; None: not announced.
        expires_at: milliseconds since the epoch after which it is gone.
    """

    id: str
    key_id: str
    role: Role
    task_id: str | None
    filename: str
    content_type: str
    path: str | None
    size: int | None
    sha256: str | None
    created_at: int
    expires_at: int


class FileStore:
    """Announces, stores and finds files.

    Args:
        database: holds the facts.
        storage: holds the bytes.
        keep_days: days after which a file expires.
    """

    def __init__(self, database: Database, storage: Storage, keep_days: float) -> None:
        self._database = database
        self._storage = storage
        self._keep_ms = round(keep_days * _DAY_MS)

    def new(
        self,
        key_id: str,
        role: Role,
        filename: str,
        content_type: str,
        *,
        size: int | None = None,
        task_id: str | None = None,
    ) -> File:
        """Return the facts of a file that does not exist yet; nothing is stored."""
        at = now_ms()
        return File(
            id=new_id(),
            key_id=key_id,
            role=role,
            task_id=task_id,
            filename=filename,
            content_type=content_type,
            path=None,
            size=size,
            sha256=None,
            created_at=at,
            expires_at=at + self._keep_ms,
        )

    async def announce(self, file: File) -> None:
        """Note a file whose bytes will come by a PUT."""
        async with self._database.writing() as connection:
            await connection.execute(files.insert().values(row_of(file)))

    def check_announced(self, file: File, declared: str) -> None:
        """Refuse an upload by its header Content-Length, before its bytes come; see `upload`."""
        if file.path is not None:
            raise ApiError(409, "this file has been uploaded before; ask for a new upload URL")
        if file.size is not None and declared.isdigit() and int(declared) != file.size:
            message = f"{int(declared):,} bytes are declared, and {file.size:,} were announced"
            raise ApiError(400, message)

    async def upload(self, file: File, data: bytes) -> File:
        """Store the bytes of an announced file, once.

        Raises:
            ApiError: it has been uploaded before, or its size is not the announced one.
        """
        if file.path is not None:
            raise ApiError(409, "this file has been uploaded before; ask for a new upload URL")
        if file.size is not None and len(data) != file.size:
            message = f"{len(data):,} bytes were sent, and {file.size:,} were announced"
            raise ApiError(400, message)
        path, sha256 = upload_path(file.id), hashlib.sha256(data).hexdigest()
        await asyncio.to_thread(self._storage.write, path, data)
        change = files.update().where(files.c.id == file.id, files.c.path.is_(None))
        change = change.values(path=path, size=len(data), sha256=sha256)
        async with self._database.writing() as connection:
            row = (await connection.execute(change.returning(files))).one_or_none()
        if row is None:  # another request was faster
            raise ApiError(409, "this file has been uploaded before; ask for a new upload URL")
        return file_of(row)

    async def put(self, key_id: str, filename: str, content_type: str, data: bytes) -> File:
        """Store an input in one step."""
        file = self.new(key_id, "input", filename, content_type, size=len(data))
        await self.announce(file)
        return await self.upload(file, data)

    async def get(self, file_id: str, key_id: str | None = None) -> File:
        """Return a file that has not expired.

        Raises:
            ApiError: there is none, or none of this key.
        """
        file = await self.find(file_id, key_id)
        if file is None:
            raise unknown("file")
        return file

    async def find(
        self, file_id: str, key_id: str | None = None, *, expired: bool = False
    ) -> File | None:
        """Return a file; None if there is none, or none of this key.

        Args:
            file_id: its id.
            key_id: the key that must own it; None: any.
            expired: return it also if its time is over, for a task that was accepted before.
        """
        since = 0 if expired else now_ms()
        query = sa.select(files).where(files.c.id == file_id, files.c.expires_at > since)
        if key_id is not None:
            query = query.where(files.c.key_id == key_id)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else file_of(row)

    async def page(
        self,
        key_id: str,
        limit: int,
        *,
        after: tuple[int, str] | None = None,
        since: int | None = None,
        before: int | None = None,
    ) -> tuple[list[File], str]:
        """Return files of a key, the newest first, and the cursor of the next page.

        Args:
            key_id: the key.
            limit: most files.
            after: the last file of the page before: its time in ms, and its id, which puts files
                of one millisecond into order.
            since: earliest time, in ms.
            before: time before which files are listed, in ms.
        """
        query = sa.select(files).where(files.c.key_id == key_id, files.c.expires_at > now_ms())
        if after is not None:
            at, last = after
            same = sa.and_(files.c.created_at == at, files.c.id > last)
            query = query.where(sa.or_(files.c.created_at < at, same))
        if since is not None:
            query = query.where(files.c.created_at >= since)
        if before is not None:
            query = query.where(files.c.created_at < before)
        query = query.order_by(files.c.created_at.desc(), files.c.id).limit(limit + 1)
        async with self._database.reading() as connection:
            found = [file_of(row) for row in (await connection.execute(query)).all()]
        shown = found[:limit]
        return shown, f"{shown[-1].created_at}-{shown[-1].id}" if len(found) > limit else ""

    async def stored_bytes(self, key_id: str) -> int:
        """Return the bytes of the files of a key, announced ones included."""
        query = sa.select(sa.func.sum(files.c.size))
        query = query.where(files.c.key_id == key_id, files.c.expires_at > now_ms())
        async with self._database.reading() as connection:
            return int(await connection.scalar(query) or 0)

    async def of_task(self, task_id: str) -> list[File]:
        """Return the images of a task."""
        query = sa.select(files).where(files.c.task_id == task_id).order_by(files.c.filename)
        async with self._database.reading() as connection:
            return [file_of(row) for row in (await connection.execute(query)).all()]

    async def delete(self, doomed: Sequence[File]) -> None:
        """Delete files: they expire, then their bytes go, then the facts.

        So no fact that a client sees is about bytes that are gone, and after a crash in between the
        next sweep finds the rest.
        """
        ids = [file.id for file in doomed]
        async with self._database.writing() as connection:
            gone = files.update().where(files.c.id.in_(ids)).values(expires_at=0)
            await connection.execute(gone)
        for file in doomed:
            for path in {file.path, upload_path(file.id) if file.role == "input" else None}:
                if path is not None:
                    await asyncio.to_thread(self._storage.delete, path)
        async with self._database.writing() as connection:
            await connection.execute(files.delete().where(files.c.id.in_(ids)))

    async def read(self, file: File) -> bytes:
        """Return the bytes of a file.

        Raises:
            ApiError: they have not been uploaded yet.
            StorageError: they cannot be read.
        """
        if file.path is None:
            raise _not_uploaded()
        return await asyncio.to_thread(self._storage.read, file.path)

    async def read_range(self, file: File, start: int, end: int) -> bytes:
        """Return the bytes of a file from `start` to `end`, excluded; see `read`."""
        if file.path is None:
            raise _not_uploaded()
        return await asyncio.to_thread(self._storage.read_range, file.path, start, end)

    async def presigned(self, file: File, seconds: int) -> str:
        """Return a URL at which S3 itself answers with a file, with its type and name."""
        if file.path is None:
            raise _not_uploaded()
        return await asyncio.to_thread(
            self._storage.presigned,
            file.path,
            seconds,
            ResponseContentType=file.content_type,
            ResponseContentDisposition=disposition_of(file),
        )

    async def parts(self, file: File, start: int, end: int, most: int) -> AsyncIterator[bytes]:
        """Yield the bytes of `read_range`, up to `most` at a time."""
        for place in range(start, end, most):
            yield await self.read_range(file, place, min(place + most, end))


def disposition_of(file: File) -> str:
    """Return the header that gives a file its name."""
    return f"inline; filename*=UTF-8''{quote(file.filename)}"


def _not_uploaded() -> ApiError:
    return ApiError(404, "this file was announced, and its bytes were not uploaded")


def upload_path(file_id: str) -> str:
    """Return the place of an upload, which may have bytes before the facts say so."""
    return f"uploads/{file_id[:2]}/{file_id}"


def row_of(file: File) -> dict[str, Any]:
    """Return the row of a file in its table."""
    return {column.name: getattr(file, column.name) for column in files.columns}


def file_of(row: sa.Row[Any]) -> File:
    """Return the file in a row."""
    return File(**row._mapping)  # noqa: SLF001 (the documented way to the columns by name)
