"""A feed's cell that names several pictures, of which the first is the product's."""

from __future__ import annotations

import re

_NEXT_ADDRESS = re.compile(r"[,;|\s]+(?=(?:https?:)?//)", re.IGNORECASE)
_NEXT_FILE = re.compile(r"(?<=[^\s,;|])\s*[,;|]\s*(?=\S)")
_PICTURE = re.compile(r"[^,;|]+\.(?:jpe?g|png|webp|gif|avif|tiff?|bmp)", re.IGNORECASE)


def first_picture(text: str) -> str:
    """The first reference of a cell such as ``https://a/1.jpg, https://a/2.jpg`` or ``1.jpg|2.jpg``; else the cell.

    Delimiters are legal in addresses and names: a cell is only parted where an address begins, or where all parts end
    as pictures do.
    """
    text = text.strip()
    parts = _NEXT_ADDRESS.split(text, maxsplit=1)
    if len(parts) > 1:
        return parts[0]
    parts = _NEXT_FILE.split(text)
    return parts[0] if len(parts) > 1 and all(map(_PICTURE.fullmatch, parts)) else text
