"""Anybody's bytes to a canonical JPEG: decoded once, within limits, by the decoders of four formats and no other."""

from __future__ import annotations

import io
import os
import threading
from typing import Any

from modules.images.header import Header, read_header, too_large
from modules.images.jpeg import stripped
from modules.images.outcome import BROKEN, NOT_AN_IMAGE, TOO_MANY_PIXELS, ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
QUALITY = 90
"""The JPEG quality (0 to 100) with which a picture is encoded again."""

_ORIENTATION = 0x0112
# A decoder holds a picture of max_pixels, so only as many as there are cores may work at a time.
_DECODERS = threading.BoundedSemaphore(os.cpu_count() or 2)


def canonical(data: bytes, size: int, max_pixels: int) -> bytes:
    """The image as a baseline RGB JPEG.

    A baseline RGB JPEG that is small enough stays as it is, less metadata and what follows its end. Of an animation the
    first frame is taken, transparency is put on white, EXIF's orientation applied.

    Args:
      data: any bytes at all.
      size: longest side of the result in pixels, at most.
      max_pixels: width times height of the image, at most (:func:`modules.images.header.too_large`); looked at before
        anything is decoded.

    Raises:
      ImageError: ``not_an_image``, ``too_many_pixels`` or ``broken``; nothing else is raised, whatever the bytes.
    """
    header = read_header(data)
    if header is None:
        raise ImageError(NOT_AN_IMAGE)
    if too_large(data, header, max_pixels):
        raise ImageError(TOO_MANY_PIXELS)
    if not header.width or not header.height:
        raise ImageError(BROKEN)
    with _DECODERS:
        try:
            return _canonical(data, header, size, max_pixels)
        except ImageError:
            raise
        except Exception as error:
            # Pillow raises whatever its parsers trip over: OSError, SyntaxError, struct.error, ValueError and more.
            bomb = type(error).__name__ in ("DecompressionBombError", "DecompressionBombWarning")
            raise ImageError(TOO_MANY_PIXELS if bomb else BROKEN) from None


def _canonical(data: bytes, header: Header, size: int, max_pixels: int) -> bytes:
    from PIL import Image

    # The list of formats keeps Pillow's other forty decoders out of reach.
    with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
        image = opened
        if image.width * image.height > max_pixels:
            raise ImageError(TOO_MANY_PIXELS)
        orientation = _orientation_of(image) if header.format == "JPEG" else 1
        small = max(image.size) <= size
        if header.baseline and small and image.mode == "RGB" and orientation == 1:
            image.load()
            kept = stripped(data)
            if kept is not None:
                return kept
        if header.format == "JPEG" and not small:
            image = _smaller(image, size)
        image.load()
        if header.format != "JPEG":
            orientation = _orientation_of(image)
        picture = _upright(_on_white(image), orientation)
    if max(picture.size) > size:
        picture.thumbnail((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    # Pillow would write a GIF's comment into the JPEG, where one of over 64 KB has no room.
    picture.info = {}
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _smaller(image: Any, size: int) -> Any:
    """A JPEG with its longest side of ``size`` pixels.

    libjpeg decodes at 1/2, 1/4 or 1/8 of the size, which is most of the time saved. Pillow's ``thumbnail`` does so,
    too, but asks for twice the box and not twice the picture in it, so that tall pictures are decoded whole.
    """
    from PIL import Image

    ratio = size / max(image.size)
    width, height = (max(1, round(ratio * side)) for side in image.size)
    drafted = image.draft(None, (2 * width, 2 * height))
    box = drafted[1] if drafted is not None else None
    return image.resize((width, height), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def _on_white(image: Any) -> Any:
    """RGB of any mode."""
    from PIL import Image

    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        # 16 bits: Pillow's own conversion cuts off in place of scaling.
        import numpy as np

        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGB", layer.size, (255, 255, 255))
        white.paste(layer, mask=layer.getchannel("A"))
        return white
    return image.convert("RGB")


def _orientation_of(image: Any) -> int:
    """EXIF's orientation, 1 (upright) where there is none or it cannot be read."""
    if "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Any, orientation: int) -> Any:
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # fmt: skip
    return image.transpose(turns[orientation]) if orientation in turns else image
