"""Recognizes files that are not tables in a format that is read, to say what to do with them."""

from __future__ import annotations

from contextlib import closing

from pipelines.errors import ManifestError
from pipelines.manifest.source import ManifestFile

_UNPACK = "is compressed, and only plain files are read; unpack it"
_EXPORT = "is a spreadsheet; save it as CSV in UTF-8"
_CONVERT = "is in a format that is not read; store it as Parquet, CSV or JSON Lines"
_BY_ENDING = {
    **dict.fromkeys((".gz", ".zst", ".bz2", ".xz", ".lz4", ".zip", ".7z", ".tar", ".tgz"), _UNPACK),
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), _EXPORT),
    **dict.fromkeys((".arrow", ".feather", ".ipc", ".orc", ".avro", ".db", ".duckdb"), _CONVERT),
}
_UTF_16 = "its first line is not UTF-8 but UTF-16; save it in UTF-8"
_BY_START = {
    b"\x1f\x8b": _UNPACK,
    b"\x28\xb5\x2f\xfd": _UNPACK,
    b"BZh91AY&SY": _UNPACK,
    b"\xfd7zXZ": _UNPACK,
    b"PK\x03\x04": "is a spreadsheet or an archive; save it as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": _EXPORT,
    b"PAR1\x15": "is Parquet; set manifest.format: parquet, or name it .parquet",
    b"ARROW1\0\0": _CONVERT,
    b"Obj\x01": _CONVERT,
    b"SQLite format 3\0": _CONVERT,
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}
_MOST_BYTES = max(map(len, _BY_START))


def advice_for(name: str) -> str | None:
    """Return what a file is and what to do with it, from its name; None if that is not known."""
    lower = name.lower()
    return next((advice for ending, advice in _BY_ENDING.items() if lower.endswith(ending)), None)


def check_is_text(file: ManifestFile) -> None:
    """Look at the first bytes of a file in a text format.

    Raises:
        ManifestError: they are those of another kind of file, or in another encoding.
    """
    with closing(file.data.open_lines()) as source:
        start = source.read(_MOST_BYTES)
    for known, advice in _BY_START.items():
        if start.startswith(known):
            raise ManifestError(file.uri, advice)
