"""Product images as bytes in the examples: what may be fetched, how long it may take, and how large it may be."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from modules import object_stores
from modules.settings.base import Settings

Seconds = Annotated[float, Field(gt=0.0, le=3600.0)]

_HOST = re.compile(r"(\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]+)")
_SCHEMES = ("https", "http", *object_stores.SCHEMES)


class ImageSettings(Settings):
    """``feed.images``: the product field ``image`` is a path below the feed's folder, or an address that is allowed."""

    size: Annotated[int, Field(ge=16, le=2048)] = 256
    """Longest side in pixels, at most: larger images are made smaller."""
    hosts: tuple[str, ...] = ()
    """Hosts (of object stores: buckets) that images may be fetched from: ``images.shop.com``, ``*.shop.com`` (any name
    below it) or ``*`` (any). None by default: then only paths are read."""
    schemes: tuple[str, ...] = ("https", "http")
    """``https``, ``http``, and those of object stores: ``s3``, ``gs``, ``minio``."""
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = (80, 443)
    """Ports that images may be fetched from."""
    allow_private: bool = False
    """Allows hosts with loopback, private, link-local and other addresses that are not public."""
    max_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 10 * 2**20
    """A larger file is given up."""
    max_pixels: Annotated[int, Field(ge=1024, le=178_956_970)] = 30_000_000
    """An image of more is not decoded, nor a JPEG of more than 500 scans, or with more than 24 times as many pixels in
    all of them."""
    connect_timeout: Seconds = 5.0
    """Seconds that a host may take to answer a connection."""
    read_timeout: Seconds = 10.0
    """How long a host may say nothing."""
    deadline: Seconds = 30.0
    """Seconds for an image in all, retries and redirects included."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """After errors that may pass: no connection, timeouts, statuses 429 and 5xx."""
    threads: Annotated[int, Field(ge=1, le=256)] = 16
    """Images fetched at a time, by each of Beam's workers."""
    cache: str | None = None
    """Folder of fetched and checked images, relative to the directory the program is started in; default:
    ``images/`` in the run's folder."""
    max_cache_bytes: Annotated[int, Field(ge=2**20)] = 20 * 2**30
    """Above it the images that were not used for longest are removed."""
    retry_after_hours: Annotated[float, Field(ge=0.0, le=24.0 * 365)] = 24.0
    """How long an image that could not be fetched is not asked for again."""

    @field_validator("hosts", "schemes")
    @classmethod
    def _lower(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(value.strip().lower().rstrip(".") for value in values)

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not _HOST.fullmatch(value):
                raise ValueError(f"hosts: {value!r} is no host name; write images.shop.com, *.shop.com or *")
        return values

    @field_validator("schemes")
    @classmethod
    def _schemes(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if value not in _SCHEMES:
                raise ValueError(f"schemes: {value!r} cannot be allowed; one of: {', '.join(_SCHEMES)}")
        return values
