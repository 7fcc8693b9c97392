"""Format and size of an image out of its first bytes, before any decoder has seen it."""

from __future__ import annotations

from typing import NamedTuple

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG's start-of-frame markers; the three left out mean other things."""


_SCANS = 500
_VISITS = 24
"""A camera's progressive JPEG has some ten scans."""


class Header(NamedTuple):
    """``format`` as Pillow names it; width and height in pixels. ``baseline``: a JPEG of 3 components, 8 bits each."""

    format: str
    width: int
    height: int
    baseline: bool = False


def read_header(data: bytes) -> Header | None:
    """What the image says it is; None for anything but a JPEG, PNG, WebP or GIF with a size.

    The size is the whole canvas's. A decoder may find another one in a lying file, so it is asked again.
    """
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        return Header("PNG", int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return Header("GIF", int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def too_large(data: bytes, header: Header, max_pixels: int) -> bool:
    """Whether decoding would visit more pixels than allowed.

    A progressive JPEG is decoded scan by scan, each of which visits the whole picture, however few bytes it has: of all
    scans together up to 24 times ``max_pixels`` are allowed, and 500 scans.
    """
    pixels = header.width * header.height
    if pixels > max_pixels:
        return True
    if header.format != "JPEG":
        return False
    # Within a scan FF is followed by other bytes; a thumbnail in the metadata counts as a scan more.
    scans = data.count(b"\xff\xda")
    return scans > _SCANS or scans * pixels > _VISITS * max_pixels


def _webp(data: bytes) -> Header | None:
    if len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return Header("WEBP", int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1)
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return Header("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
        return Header("WEBP", width & 0x3FFF, height & 0x3FFF)
    return None


def _jpeg(data: bytes) -> Header | None:
    place, end = 2, len(data)
    while place + 9 < end:
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker in _FRAMES:
            height = int.from_bytes(data[place + 5 : place + 7], "big")
            width = int.from_bytes(data[place + 7 : place + 9], "big")
            # Baseline is marker C0; data[place + 4] is the precision, data[place + 9] the number of components.
            baseline = marker == 0xC0 and data[place + 4] == 8 and data[place + 9] == 3
            return Header("JPEG", width, height, baseline)
        if marker in (0xD9, 0xDA):
            return None
        place += (
            2 if marker == 0x01 or 0xD0 <= marker <= 0xD8 else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        )
    return None
