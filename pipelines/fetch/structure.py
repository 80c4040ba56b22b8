"""Bounds on the structure of a file, checked before a decoder sees it.

The time of a decoder is then bounded by the number of pixels and bytes. PNG and TIFF have their
bounds in `png` and `tiff`.
"""

from __future__ import annotations

from pipelines.fetch.errors import UnsupportedImageError

MAX_JPEG_SCANS = 100
MAX_JPEG_SEGMENTS = 2_000
MAX_JPEG_HEADER_BYTES = 32 * 2**20
MAX_GIF_COMMENT_BYTES = 4 * 2**20
MAX_RLE_BYTES = 16 * 2**20
MAX_RLE_PIXELS = 16_000_000

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_ALONE = frozenset({0x00, 0x01, *range(0xD0, _EOI + 1), 0xFF})
_DECODED_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA})
_JPEG_LS = 0xF7
_FRAMES = frozenset({*range(0xC0, 0xD0), _JPEG_LS}) - {0xC4, 0xC8, 0xCC}
_DECODED_CHANNELS = (1, 3, 4)
_EMBEDDED = {4: "JPEG", 5: "PNG"}


def check_structure(data: bytes, found: str | None) -> None:
    """Raise `UnsupportedImageError` if the structure of a file exceeds a bound.

    Args:
        data: the file.
        found: its format.
    """
    check = _CHECKS.get(found or "")
    if check is not None:
        check(data)


def check_scans(data: bytes) -> None:
    """Raise `UnsupportedImageError` if a JPEG, from its first scan on, has too many of them."""
    end = data.find(b"\xff\xd9")
    scans = data.count(b"\xff\xda", 0, len(data) if end < 0 else end)
    if scans > MAX_JPEG_SCANS:
        raise UnsupportedImageError(
            f"JPEG with {scans:,} scans is not supported (at most {MAX_JPEG_SCANS}); "
            "save it again as a baseline JPEG"
        )


def _check_jpeg(data: bytes) -> None:
    at = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        at = data.find(b"\xff", at)
        if at < 0 or at + 10 > len(data):
            return
        kind = data[at + 1]
        if kind == _SOS:
            break
        if kind in _FRAMES:
            _check_frame(kind, data[at + 4], data[at + 9])
        step = 1 if kind == 0xFF else 2
        at += step if kind in _ALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if at > MAX_JPEG_HEADER_BYTES:
            raise _too_much("JPEG", "metadata", MAX_JPEG_HEADER_BYTES)
    else:
        raise UnsupportedImageError(
            f"JPEG with more than {MAX_JPEG_SEGMENTS:,} segments of metadata is not supported; "
            "save it again without them"
        )
    check_scans(data[at:])


def _check_frame(kind: int, bits: int, channels: int) -> None:
    if kind == _JPEG_LS:
        raise UnsupportedImageError("JPEG-LS is not supported; save it as JPEG or PNG")
    if bits != 8:
        raise UnsupportedImageError(
            f"JPEG with {bits} bits per sample is not supported; save it with 8"
        )
    if kind not in _DECODED_FRAMES:
        raise UnsupportedImageError(
            "hierarchical JPEG is not supported; save it as baseline or progressive"
        )
    if channels not in _DECODED_CHANNELS:
        raise UnsupportedImageError(
            f"JPEG with {channels} channels is not supported; save it as grey or RGB"
        )


def _check_gif(data: bytes) -> None:
    """Check the blocks before the first image, which Pillow reads one by one."""
    flags = data[10] if len(data) > 10 else 0
    start = at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while data[at : at + 1] == b"!":
        at += 2
        while size := data[at] if at < len(data) else 0:
            at += 1 + size
            if at - start > MAX_GIF_COMMENT_BYTES:
                raise _too_much("GIF", "comments", MAX_GIF_COMMENT_BYTES)
        at += 1
        if at - start > MAX_GIF_COMMENT_BYTES:
            raise _too_much("GIF", "comments", MAX_GIF_COMMENT_BYTES)


def _check_bmp(data: bytes) -> None:
    if len(data) < 34 or int.from_bytes(data[14:18], "little") < 40:
        return
    compression = int.from_bytes(data[30:34], "little")
    if compression in _EMBEDDED:
        raise UnsupportedImageError(
            f"BMP with {_EMBEDDED[compression]} inside is not supported; save it as PNG"
        )
    width = abs(int.from_bytes(data[18:22], "little", signed=True))
    height = abs(int.from_bytes(data[22:26], "little", signed=True))
    runs = compression in (1, 2)
    if runs and (len(data) > MAX_RLE_BYTES or width * height > MAX_RLE_PIXELS):
        raise UnsupportedImageError(
            f"BMP with run-length compression and over {MAX_RLE_PIXELS / 1e6:g} megapixels or "
            f"{MAX_RLE_BYTES / 2**20:g} MiB is not supported; save it as PNG"
        )


def _too_much(name: str, content: str, most: int) -> UnsupportedImageError:
    return UnsupportedImageError(
        f"{name} with more than {most / 2**20:g} MiB of {content} before its pixels is not "
        "supported; save it again without them"
    )


_CHECKS = {"JPEG": _check_jpeg, "GIF": _check_gif, "BMP": _check_bmp}
