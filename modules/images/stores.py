"""Images in object stores."""

from __future__ import annotations

import errno

from modules import object_stores
from modules.images.outcome import BAD_REFERENCE, HTTP_4XX, NOT_FOUND, TIMEOUT, TOO_LARGE, UNREACHABLE, ImageError
from modules.object_stores.patience import Patience
from modules.settings.images import ImageSettings


def patience(settings: ImageSettings) -> Patience:
    """As the workflow has it for images."""
    return Patience(settings.connect_timeout, settings.read_timeout, settings.retries + 1, settings.deadline)


def read_object(url: str, max_bytes: int, waiting: Patience) -> bytes:
    """An object's bytes.

    Raises:
      ImageError: ``bad_reference``, ``not_found``, ``too_large``, ``timeout``, ``http_4xx`` where access is denied,
        ``unreachable``, also where no client knows the store.
    """
    try:
        data = object_stores.read_object(url, max_bytes, waiting)
    except FileNotFoundError:
        raise ImageError(NOT_FOUND) from None
    except PermissionError:
        raise ImageError(HTTP_4XX) from None
    except TimeoutError:
        raise ImageError(TIMEOUT) from None
    except OSError as error:
        raise ImageError(BAD_REFERENCE if error.errno == errno.EINVAL else UNREACHABLE) from None
    if data is None:
        raise ImageError(TOO_LARGE)
    return data
