"""Replaces 128-bit integers in a serialized Arrow schema, which Arrow itself refuses to read.

The layout is that of Schema.fbs in Arrow's format, in FlatBuffers.
"""

from __future__ import annotations

from collections.abc import Iterator

_CONTINUATION = b"\xff\xff\xff\xff"
# Places of the fields in their tables, in the order of Schema.fbs and Message.fbs.
_MESSAGE_HEADER = 2
_SCHEMA_FIELDS = 1
_FIELD_KIND, _FIELD_TYPE, _FIELD_CHILDREN = 2, 3, 5
_INT_BITS = 0
_INT, _FIXED_SIZE_BINARY = 2, 15
_WIDE_BITS = 128


def without_wide_integers(message: bytes) -> tuple[bytes, list[int]]:
    """Return the schema with 16 bytes in place of each 128-bit integer.

    Args:
        message: the schema as an IPC message.

    Returns:
        The message, and the places of the columns that hold such integers at any depth.
    """
    start = 8 if message.startswith(_CONTINUATION) else 4
    tables = _Tables(bytearray(message))
    root = start + tables.unsigned(start)
    schema = tables.reference(root, _MESSAGE_HEADER)
    fields = [] if schema is None else list(tables.vector(schema, _SCHEMA_FIELDS))
    wide = [place for place, field in enumerate(fields) if _narrow(tables, field)]
    return bytes(tables.data), wide


def _narrow(tables: _Tables, field: int) -> bool:
    """Replace the wide integers of a column and its children; return True if there were any."""
    children = [_narrow(tables, child) for child in tables.vector(field, _FIELD_CHILDREN)]
    found = any(children)
    kind, at = tables.place(field, _FIELD_KIND), tables.reference(field, _FIELD_TYPE)
    if kind is None or at is None or tables.data[kind] != _INT:
        return found
    bits = tables.place(at, _INT_BITS)
    if bits is None or tables.unsigned(bits) != _WIDE_BITS:
        return found
    # Both tables have one number of four bytes as their first field: the bits, or the bytes.
    tables.data[kind] = _FIXED_SIZE_BINARY
    tables.data[bits : bits + 4] = (_WIDE_BITS // 8).to_bytes(4, "little")
    return True


class _Tables:
    """FlatBuffers tables in some bytes; positions count from the start of `data`."""

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self._left = len(data)

    def unsigned(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 4], "little")

    def place(self, table: int, index: int) -> int | None:
        """Return the position of a field of a table; None if it has its default."""
        offset = int.from_bytes(self.data[table : table + 4], "little", signed=True)
        places = table - offset
        size = int.from_bytes(self.data[places : places + 2], "little")
        entry = places + 4 + 2 * index
        if entry >= places + size:
            return None
        found = int.from_bytes(self.data[entry : entry + 2], "little")
        return table + found if found else None

    def reference(self, table: int, index: int) -> int | None:
        """Return the position that a field of a table refers to."""
        at = self.place(table, index)
        return None if at is None else at + self.unsigned(at)

    def vector(self, table: int, index: int) -> Iterator[int]:
        """Yield the positions that a list in a table refers to."""
        at = self.reference(table, index)
        if at is None:
            return
        end = at + 4 + 4 * self.unsigned(at)
        # A damaged schema may refer to itself.
        self._left -= (end - at) // 4
        if end > len(self.data) or self._left < 0:
            raise ValueError("a list is longer than its schema")
        for place in range(at + 4, end, 4):
            yield place + self.unsigned(place)
