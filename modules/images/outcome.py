"""What became of a product's image: its bytes, or the reason why it is a missing value."""

from __future__ import annotations

from typing import NamedTuple

OK = "ok"
MISSING = "missing"
NOT_FOUND = "not_found"
TIMEOUT = "timeout"
TOO_LARGE = "too_large"
TOO_MANY_PIXELS = "too_many_pixels"
NOT_AN_IMAGE = "not_an_image"
BROKEN = "broken"
BAD_REFERENCE = "bad_reference"
NOT_ALLOWED = "not_allowed"
PRIVATE_ADDRESS = "private_address"
TOO_MANY_REDIRECTS = "too_many_redirects"
UNREACHABLE = "unreachable"
HTTP_4XX = "http_4xx"
HTTP_5XX = "http_5xx"

REASONS = {
    MISSING: "the product names no image",
    NOT_FOUND: "no file of that name; status 404 or 410",
    TIMEOUT: "not there within the time allowed",
    TOO_LARGE: "more bytes than feed.images.max_bytes",
    TOO_MANY_PIXELS: "more pixels than feed.images.max_pixels, or a file of far too many scans, segments or blocks",
    NOT_AN_IMAGE: "no JPEG, PNG, WebP or GIF",
    BROKEN: "damaged or cut off",
    BAD_REFERENCE: "neither a path nor an address that can be read",
    NOT_ALLOWED: "a path out of the feed's folder, or an address that feed.images does not allow",
    PRIVATE_ADDRESS: "the host has an address that is not public",
    TOO_MANY_REDIRECTS: "sent from address to address",
    UNREACHABLE: "no such host, no connection, or no valid certificate",
    HTTP_4XX: "another status from 400 to 499",
    HTTP_5XX: "a status from 500 to 599, after all retries",
}
"""Why an image is a missing value, in words."""


class Picture(NamedTuple):
    """The outcome for one reference.

    Attributes:
      data: a baseline RGB JPEG; empty where the image is missing.
      reason: ``ok`` or one of :data:`REASONS`.
    """

    data: bytes
    reason: str


class ImageError(Exception):
    """An image that cannot be had.

    Attributes:
      reason: one of :data:`REASONS`.
      passing: whether it may work at another time, so that retrying makes sense.
      asked: whether its source was asked and given its time; False where the reason is another image's.
    """

    def __init__(self, reason: str, *, passing: bool = False, asked: bool = True):
        self.reason = reason
        self.passing = passing
        self.asked = asked
        super().__init__(reason)
