"""Images in object stores, by Beam's file systems; timeouts are those of Beam's clients."""

from __future__ import annotations

from modules.images.outcome import NOT_ALLOWED, NOT_FOUND, TOO_LARGE, UNREACHABLE, ImageError

_BLOCK = 1 << 20


def read_object(url: str, max_bytes: int) -> bytes:
    """An object's bytes.

    Raises:
      ImageError: ``not_allowed`` where Beam lacks the store's client, ``not_found``, ``too_large``, ``unreachable``.
    """
    from apache_beam.io.filesystem import BeamIOError, CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    try:
        FileSystems.get_filesystem(url)
    except ValueError:
        raise ImageError(NOT_ALLOWED) from None
    parts, size = [], 0
    try:
        with FileSystems.open(url, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
            while part := stream.read(_BLOCK):
                parts.append(part)
                size += len(part)
                if size > max_bytes:
                    raise ImageError(TOO_LARGE)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(NOT_FOUND) from None
    except BeamIOError as error:
        missing = any("not found" in str(e).lower() or "404" in str(e) for e in (error, error.__cause__))
        raise ImageError(NOT_FOUND if missing else UNREACHABLE) from None
    except Exception:
        # Each store's client has errors of its own.
        raise ImageError(UNREACHABLE) from None
    return b"".join(parts)
