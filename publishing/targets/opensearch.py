"""An index of OpenSearch: a document per product, by the bulk API."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote

import orjson

from modules.errors import InputError, Problem, reason, shorten
from modules.predictions.documents import Document
from publishing.targets.addresses import authority, split_address
from publishing.targets.base import MAX_REASON, Busy, Options, PartlyRefused, Refused, Target, Unusable

_INDEX = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_PORT = 9200
_CONNECTIONS = 64
_MAPPING = {name: {"type": "keyword"} for name in ("id", "retailer", "run", "model")} | {"version": {"type": "long"}}
_SAID = "errors,items.*._id,items.*.status,items.*.error.type,items.*.error.reason"
_GONE, _NEWER = 404, 409


class OpenSearchTarget(Target):
    """A document replaces one of the same or a smaller version, and a product that is gone has none.

    OpenSearch compares the versions itself (``external_gte``), so that what comes late changes nothing.
    """

    schemes: ClassVar[tuple[str, ...]] = ("opensearch",)

    def __init__(self, address: str, options: Options, is_hidden: bool):
        try:
            import opensearchpy  # noqa: F401 - an extra
        except ImportError:
            hint = "pip install 'shelfmark[opensearch]'"
            what = "expected the package opensearch-py beside Shelfmark"
            raise InputError(Problem("", what, key="TARGET", hint=hint)) from None
        url = split_address(address, is_hidden, "opensearch://USER:PASSWORD@HOST/INDEX")
        plain = "opensearch+http"
        self._index = url.path.removeprefix("/")
        if url.query or url.scheme not in ("opensearch", plain) or not _INDEX.fullmatch(self._index):
            what = "expected an index' name: small letters, digits, dots, dashes and underscores, and no parameters"
            hint = f"{plain}:// is for a server without TLS"
            raise InputError(Problem("", what, key="TARGET", value=f"{url.scheme}://…/{self._index}", hint=hint))
        # urllib3 takes Latin-1 alone; read as that, UTF-8 goes out as it is.
        user = (text.encode().decode("latin-1") for text in (unquote(url.username or ""), unquote(url.password or "")))
        self._user = tuple(user) if url.username else None
        self._scheme = "http" if url.scheme == plain else "https"
        place = authority(str(url.hostname), url.port or _PORT)
        self._address = f"{self._scheme}://{place}"
        self._timeout = options.timeout
        self.name = f"OpenSearch {self._address}, index {self._index}"
        self.identity = f"opensearch\n{place}\n{self._index}"
        self._client: Any = None

    def start(self, version: int) -> None:
        from opensearchpy import OpenSearch
        from opensearchpy.exceptions import OpenSearchException, RequestError

        # The client writes each failure with what it sent; what is to be said is said by the publication.
        logging.getLogger("opensearch").addHandler(logging.NullHandler())
        logging.getLogger("opensearch").propagate = False
        # A private authority's certificate comes by SSL_CERT_FILE, as for every program on OpenSSL.
        tls: dict[str, Any] = {"ssl_context": ssl.create_default_context()} if self._scheme == "https" else {}
        self._client = OpenSearch(
            [self._address], http_auth=self._user, timeout=self._timeout, max_retries=0, http_compress=True,
            pool_maxsize=_CONNECTIONS, **tls,
        )  # fmt: skip
        try:
            if not self._client.indices.exists(index=self._index):
                self._client.indices.create(index=self._index, body={"mappings": {"properties": _MAPPING}})
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise Unusable(f"{self.name}: {_said(error)}") from None
        except OpenSearchException as error:
            raise self._judged(error) from None

    def send(self, documents: Sequence[Document]) -> None:
        from opensearchpy.exceptions import OpenSearchException

        body = b"".join(self._lines(documents))
        try:
            answer = self._client.bulk(body=body, params={"filter_path": _SAID})
        except OpenSearchException as error:
            raise self._judged(error) from None
        try:
            if len(answer["items"]) != len(documents):
                raise ValueError
            refused = {name: refusal for item in answer["items"] for name, refusal in self._refusals(item)}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._not_meant() from None
        if refused:
            raise PartlyRefused(refused)

    def finish(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _lines(self, documents: Sequence[Document]) -> Iterator[bytes]:
        for document in documents:
            where = {
                "_index": self._index, "_id": document.id,
                "version": document.values["version"], "version_type": "external_gte",
            }  # fmt: skip
            yield orjson.dumps({"delete" if document.digest is None else "index": where}) + b"\n"
            if document.digest is not None:
                yield document.as_json() + b"\n"

    def _refusals(self, item: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Refused]]:
        """What an action's answer says of the product; nothing if all is as it shall be."""
        ((action, said),) = item.items()
        status, error = said["status"], said.get("error", {})
        if status < 300 or status == _NEWER or (status == _GONE and action == "delete" and not error):
            return
        why = shorten(f"{error.get('type')}: {error.get('reason')}", MAX_REASON)
        if status == 429 or status >= 500:
            raise Busy(f"{self.name} answers with status {status}: {why}")
        if status in (401, 403, 404):
            raise Unusable(f"{self.name}: {why}", "are index and permissions right?")
        yield said["_id"], Refused(why, status)

    def _not_meant(self) -> Unusable:
        return Unusable(f"{self.name} answers as no OpenSearch does", "is the address right?")

    def _judged(self, error: Exception) -> Exception:
        from opensearchpy import exceptions as errors

        if isinstance(error, errors.SSLError):
            return Unusable(f"{self.name} has no certificate that can be trusted", "SSL_CERT_FILE names another one")
        if isinstance(error, errors.SerializationError):
            return self._not_meant()
        status = getattr(error, "status_code", None)
        if not isinstance(status, int):
            late = isinstance(error, errors.ConnectionTimeout)
            return Busy(f"{self.name} " + ("did not answer in time (--timeout)" if late else "cannot be reached"))
        if status == 429 or status >= 500:
            return Busy(f"{self.name} answers with status {status}")
        if status in (400, 413):
            return Refused(_said(error), status)
        return Unusable(f"{self.name} answers with status {status}", "are address, user and password right?")


def _said(error: Any) -> str:
    """What the server says of an error, in one line."""
    told = error.info.get("error", {}) if isinstance(getattr(error, "info", None), dict) else {}
    why = told.get("reason") if isinstance(told, dict) else None
    return shorten(str(why or reason(error, MAX_REASON)), MAX_REASON)
