"""The documents of an index as JSON Lines: one state of the index, page by page, whole or not at all.

The engines' own clients are not used: they connect to whatever a name leads to, and read an answer of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from urllib3.response import HTTPResponse

from modules.counting import counted
from modules.errors import shorten
from modules.feeds.sources.asking import Again, Asking, refuse_passing
from modules.feeds.sources.base import Away
from modules.feeds.sources.packed import write_packed
from modules.progress import report

if TYPE_CHECKING:
    from modules.feeds.sources.download import Request
    from modules.feeds.sources.search import SearchSource

_KEPT = "10m"
"""How long the engine keeps a point in time after each page: longer than any wait between two attempts."""
_GOODBYE = 10.0
"""Seconds for closing it."""
_MOST = 1 << 26
"""Bytes of an answer."""
_MOST_SAID = 500
_EXPIRED = "search_context_missing_exception"


class _Expired(Exception):
    """The engine no longer knows the point in time: it was restarted, or has closed it."""


def write_documents(settings: SearchSource, asked: Request, file: Path) -> None:
    """Writes a gzip file with a JSON object per document; in memory is one page.

    Raises:
      Away: the engine does not answer, or does not give all of the documents.
    """
    with Asking(settings, settings.title()) as asking:
        asking.patiently(_Reading(settings, asked, asking, file).write)


class _Reading:
    def __init__(self, settings: SearchSource, asked: Request, asking: Asking, file: Path):
        self._settings, self._asked, self._asking, self._file = settings, asked, asking, file
        self._title = settings.title()
        self._point = ""

    def write(self) -> None:
        """Reads the index from its beginning, at a point in time of its own."""
        settings = self._settings
        opening = f"{quote(settings.index, safe=',*')}/{settings.opening}?keep_alive={_KEPT}"
        self._point = self._text(self._answer("POST", opening), settings.identifier)
        try:
            with self._file.open("wb") as raw:
                write_packed(self._pages(), raw, settings, self._asking.end, self._file)
        except _Expired:
            raise Again(f"{self._title}: its point in time has ended") from None
        finally:
            self._close()

    def _close(self) -> None:
        # The feed's own time may be up; what cannot be closed ends by itself.
        limits = self._settings.model_copy(update={"deadline": _GOODBYE})
        body = self._settings.closed(self._point)
        with suppress(Away, _Expired), Asking(limits, self._title) as asking:
            self._exchange(asking, "DELETE", self._settings.closing, body)

    def _pages(self) -> Iterator[bytes]:
        count, total, after = 0, 0, None
        while True:
            answer = self._answer("POST", "_search?allow_partial_search_results=false", self._body(after))
            try:
                if answer["timed_out"] or answer["_shards"]["failed"]:
                    raise Again(f"{self._title} answers for a part of its shards")
                self._point, hits = answer.get("pit_id", self._point), answer["hits"]["hits"]
                total = total if after is not None else int(answer["hits"]["total"]["value"])
                block = b"".join(_line(hit) for hit in hits)
                after = hits[-1]["sort"] if hits else None
            except (ValueError, KeyError, TypeError, AttributeError):
                raise self._not_meant() from None
            count += len(hits)
            if not hits or count > total:
                break
            yield block
            report(count, total, f"of {counted(total, 'document')} of {self._title}")
        if count != total:
            hint = "set source.order to a field that is unique to each document"
            raise Away(f"{self._title} gives {count:,} of {counted(total, 'document')}", hint)

    def _body(self, after: list[Any] | None) -> dict[str, Any]:
        settings = self._settings
        body = {
            "size": settings.page, "pit": {"id": self._point, "keep_alive": _KEPT},
            "sort": [{settings.order: "asc"}], "track_total_hits": after is None,
        }  # fmt: skip
        if settings.query is not None:
            body["query"] = settings.query
        return body if after is None else {**body, "search_after": after}

    def _answer(self, method: str, target: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        data = self._asking.patiently(lambda: self._exchange(self._asking, method, target, body))
        try:
            answer = orjson.loads(data)
        except ValueError:
            raise self._not_meant() from None
        if not isinstance(answer, dict):
            raise self._not_meant()
        return answer

    def _exchange(self, asking: Asking, method: str, target: str, body: Mapping[str, Any] | None) -> bytes:
        own = self._asked.address
        address = own._replace(target=f"{own.target.partition('?')[0].rstrip('/')}/{target}")
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
        if self._asked.authorization is not None:
            headers["Authorization"] = self._asked.authorization
        return asking.exchange(address, headers, self._read, method, None if body is None else orjson.dumps(body))

    def _read(self, response: HTTPResponse) -> bytes:
        data = response.read(_MOST + 1, decode_content=False)
        if len(data) > _MOST:
            hint = "ask for fewer documents at a time by source.page"
            raise Away(f"{self._title} gives a page of more than {_MOST:,} bytes", hint)
        status = response.status
        if status == 200:
            return data
        types, said = _error(data)
        if _EXPIRED in types:
            raise _Expired
        why = f"{self._title} answers with status {status}" + (f": {said}" if said else "")
        refuse_passing(status, why, response)
        hints = {
            400: "are source.query and source.order right?", 401: "are user and password in source.url right?",
            403: "may this user read the index?", 404: "are source.url and source.index right?",
        }  # fmt: skip
        raise Away(why, hints.get(status, ""))

    def _text(self, answer: Mapping[str, Any], key: str) -> str:
        value = answer.get(key)
        if not isinstance(value, str) or not value:
            raise self._not_meant()
        return value

    def _not_meant(self) -> Away:
        return Away(f"{self._title} answers as no {self._settings.engine} does", "is source.url right?")


def _line(hit: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"_id": hit["_id"], **hit["_source"]}, option=orjson.OPT_APPEND_NEWLINE)


def _error(data: bytes) -> tuple[set[str], str]:
    """The types of what went wrong, and the first reason in one line."""
    try:
        causes = [cause for cause in orjson.loads(data)["error"]["root_cause"] if isinstance(cause, dict)]
    except (ValueError, KeyError, TypeError):
        return set(), ""
    reasons = [shorten(str(cause.get("reason")), _MOST_SAID) for cause in causes]
    return {str(cause.get("type")) for cause in causes}, reasons[0] if reasons else ""
