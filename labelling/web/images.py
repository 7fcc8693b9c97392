"""Product images: only those of known products, and only what Pillow says is a picture, drawn anew."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from pathlib import Path

from labelling.store import Store
from labelling.store.tables import products
from modules.images.header import read_header, too_large

MAX_BYTES = 16 << 20
MAX_PIXELS = 50_000_000
SIZE = 640
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_KEPT = 64 << 20


class Images:
    """Thumbnails, the most recently used ones kept in memory."""

    def __init__(self, store: Store):
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, int], bytes | None] = OrderedDict()
        self._bytes = 0

    def get(self, product: str) -> bytes | None:
        """A PNG of at most 640 x 640 pixels; None if the product has no image that can be shown."""
        file = self._file(product)
        if file is None:
            return None
        try:
            state = file.stat()
        except OSError:
            return None
        key = (str(file), state.st_mtime_ns, state.st_size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = draw(file)
        with self._lock:
            self._kept[key] = made
            self._bytes += len(made or b"")
            while self._bytes > _KEPT:
                self._bytes -= len(self._kept.popitem(last=False)[1] or b"")
        return made

    def _file(self, product: str) -> Path | None:
        """The image's file, which lies in the folder that the import named; nothing of a request is part of a path."""
        columns = (products.c.image, products.c.image_folder)
        with self._store.read() as connection:
            rows = connection.execute(products.select().with_only_columns(*columns).where(products.c.id == product))
            row = rows.first()
        if row is None or not row.image or not row.image_folder or "\0" in row.image:
            return None
        folder = Path(row.image_folder).resolve()
        file = (folder / row.image).resolve()
        return file if file.is_relative_to(folder) and file.is_file() else None


def draw(file: Path) -> bytes | None:
    """The file's picture as PNG; None if it is none, or too large to be one of a product."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        if file.stat().st_size > MAX_BYTES:
            return None
        data = file.read_bytes()
        header = read_header(data)
        if header is None or too_large(data, header, MAX_PIXELS):
            return None
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                return None
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((SIZE, SIZE))
            stream = io.BytesIO()
            upright.convert("RGBA" if "A" in upright.getbands() or "transparency" in upright.info else "RGB").save(
                stream, "PNG"
            )
            return stream.getvalue()
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
