"""Anybody's image to what the model reads, within limits."""

from __future__ import annotations

from modules.errors import InputError, Problem

MAX_BYTES = 5 << 20
MAX_PIXELS = 30_000_000
SIZE = 256
"""Longest side of what the model gets."""

EXPECTED = f"JPEG, PNG, WebP or GIF of at most {MAX_BYTES:,} bytes and {MAX_PIXELS:,} pixels"


def canonical_image(data: bytes, name: str = "") -> bytes:
    """The image as a canonical JPEG.

    Args:
      data: the file's bytes, in any format that a feed's images may have.
      name: of the file, for the error.

    Raises:
      InputError: it is none, broken, or too large.
    """
    from modules.images.decode import canonical
    from modules.images.outcome import REASONS, TOO_LARGE, TOO_MANY_PIXELS, ImageError

    try:
        if len(data) > MAX_BYTES:
            raise ImageError(TOO_LARGE)
        return canonical(data, SIZE, MAX_PIXELS)
    except ImageError as error:
        words = {TOO_LARGE: "it has too many bytes", TOO_MANY_PIXELS: "it has too many pixels"}
        why = words.get(error.reason, REASONS.get(error.reason, error.reason))
        raise InputError(Problem(name, f"{EXPECTED}; {why}", hint="use a smaller or another image")) from None
