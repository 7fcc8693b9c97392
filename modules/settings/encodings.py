"""Vectors of texts by a pretrained encoder: which there are to be, and where those that were made are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modules.settings.base import Settings


class EncodingSettings(Settings):
    """``encodings``: the cache of the vectors that features of kind ``encoded`` read."""

    cache: str | None = None
    """Folder of the vectors of texts that an earlier run has encoded, relative to the directory the program is started
    in; default: ``encodings/`` in the run's folder. On Kubeflow there is no cache unless this names one."""
    max_cache_bytes: Annotated[int, Field(ge=2**20)] = 4 * 2**30
    """Above it the vectors that were not used for longest are removed."""


class Encoding(Settings):
    """What one feature wants encoded.

    Attributes:
      encoder: the encoder's folder.
      columns: the text columns of the products that are encoded as one text, in this order.
    """

    encoder: str
    columns: tuple[str, ...]
