"""The formats that are decoded, and the names of files of others by their first bytes."""

from __future__ import annotations

import re

from PIL import features

# Pillow's other decoders are never used: some run programs (EPS), others are hardly maintained.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF") + (
    ("AVIF",) if features.check("avif") else ()
)

_CAMERA_RAW = "a camera's raw file"
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"IIRO", _CAMERA_RAW),
    (0, b"IIRS", _CAMERA_RAW),
    (0, b"MMOR", _CAMERA_RAW),
    (0, b"IIU\0", _CAMERA_RAW),
    (0, b"FUJIFILMCCD-RAW", _CAMERA_RAW),
    (0, b"FOVb", _CAMERA_RAW),
    (0, b"\0MRM", _CAMERA_RAW),
    (4, b"ftypcrx", _CAMERA_RAW),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"PF\n", "PFM"),
    (0, b"Pf\n", "PFM"),
    (0, b"\0\0\x01\0", "ICO"),
    (0, b"DDS ", "DDS"),
    (0, b"qoif", "QOI"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip file"),
    (4, b"ftyp", "a video (MP4, QuickTime)"),
    (0, b"\x1a\x45\xdf\xa3", "a video (WebM, Matroska)"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML (SVG?)"),
    (0, b"<!doctype html", "HTML"),
    (0, b"<html", "HTML"),
)
_PNM = re.compile(rb"P[1-7][ \t\r\n#]")
_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"})
_MOST_BRANDS = 256  # bytes


def recognised(data: bytes) -> str | None:
    """Return the format that the first bytes of a file show, or None if it is not known."""
    if data[4:8] == b"ftyp":
        brands = _brands(data)
        if brands & _AVIF:
            return "AVIF"
        if brands & _HEIC or b"mif1" in brands or b"msf1" in brands:
            return "HEIC"
    if _PNM.match(data):
        return "PNM"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    for offset, magic, name in _MAGIC:
        text = magic.startswith(b"<")
        at = start[offset : offset + len(magic)] if text else data[offset : offset + len(magic)]
        if (at.lower() if text else at) == magic:
            return name
    return None


def _brands(data: bytes) -> set[bytes]:
    """Return the brands of an ISO media file, the first and the compatible ones."""
    end = min(int.from_bytes(data[:4], "big"), _MOST_BRANDS, len(data))
    return {data[8:12]} | {data[at : at + 4] for at in range(16, end, 4)}
