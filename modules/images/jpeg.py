"""A JPEG without all that is not picture: no second decoding generation, and nothing hidden in what is kept."""

from __future__ import annotations

_KEPT = {0xC0, 0xC4, 0xDB, 0xDD, 0xE0, 0xEE}
"""Frame, Huffman tables, quantisation tables, restart interval, JFIF, and Adobe's colour transform."""


def stripped(data: bytes) -> bytes | None:
    """A baseline JPEG's picture alone: no EXIF, colour profile, comments, and nothing after its end.

    Lossless. None where the file is not of the plain kind (one scan, known segments): it has to be encoded anew.
    """
    parts = [b"\xff\xd8"]
    place, end = 2, len(data)
    while place + 4 <= end:
        if data[place] != 0xFF:
            return None
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:
            return None
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        after = place + 2 + length
        if length < 2 or after > end:
            return None
        if marker == 0xDA:
            return _scan(data, place, after, parts)
        if marker in _KEPT:
            parts.append(data[place:after])
        elif marker != 0xFE and not 0xE0 <= marker <= 0xEF:
            return None
        place = after
    return None


def _scan(data: bytes, start: int, place: int, parts: list[bytes]) -> bytes | None:
    """Entropy-coded data up to the end marker: in it FF is followed by 00 or by one of eight restart markers."""
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        marker = data[place + 1]
        if marker == 0xD9:
            return b"".join([*parts, data[start : place + 2]])
        if marker == 0xFF:
            place += 1
        elif marker == 0x00 or 0xD0 <= marker <= 0xD7:
            place += 2
        else:
            return None
    return None
