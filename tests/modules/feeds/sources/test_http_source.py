"""Feeds behind addresses: real servers on loopback that are particular, hostile, or break off."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from modules.errors import InputError
from modules.feeds.sources import asking
from modules.feeds.sources.base import Away
from modules.feeds.sources.download import Download, request
from modules.feeds.sources.http import HttpSource
from modules.feeds.sources.snapshots import KEPT, last_snapshot, take_snapshot
from modules.images.addresses import is_public
from tests.modules.images.pictures import Answer, Server, in_turn, serving, status

FEED = b"id,title\n1,Red boots\n2,Lamp\n"
SECRET = "wood-7c1d0a9e55"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSE", 0.01)


def source(server: Server, path: str = "/feed.csv", **more: Any) -> HttpSource:
    return HttpSource(**{"url": server.url(path), "allow_private": True, "timeout": 5.0, "deadline": 20.0, **more})


def content(folder: Path) -> bytes:
    snapshot = last_snapshot(folder)
    assert snapshot is not None
    data = (folder / snapshot.file).read_bytes()
    assert snapshot.file.partition(".")[0] == hashlib.sha256(data).hexdigest()
    return data


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def body(*parts: bytes, length: int | None = None, pause: Callable[[], object] = lambda: None, **more: str) -> Answer:
    """An answer that is sent piece by piece, in chunks where it claims no ``length``."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        for name, value in more.items():
            handler.send_header(name.replace("_", "-"), value)
        if length is None:
            handler.send_header("Transfer-Encoding", "chunked")
        else:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.close_connection = True
        for part in parts:
            handler.wfile.write(part if length is not None else b"%x\r\n%b\r\n" % (len(part), part))
            pause()

    return answer


END = b""
"""The last chunk."""


def versioned(seen: list[dict[str, str]], data: Callable[[], bytes], header: str, value: Callable[[], str]) -> Answer:
    """A server that knows validators: 304 for the version that the client has."""
    asks = {"ETag": "if-none-match", "Last-Modified": "if-modified-since"}[header]

    def answer(handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): text for name, text in handler.headers.items()}
        seen.append(headers)
        if headers.get(asks) == value():
            handler.send_response(304)
            handler.end_headers()
        else:
            status(200, data(), **{header: value()})(handler)

    return answer


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_what_has_not_changed_is_not_sent_again(tmp_path: Path, header: str) -> None:
    seen: list[dict[str, str]] = []
    version = {"data": FEED, "value": '"a1"' if header == "ETag" else "Mon, 02 Nov 2026 03:04:05 GMT"}
    answer = versioned(seen, lambda: version["data"], header, lambda: version["value"])  # type: ignore[arg-type,return-value]
    with serving({"/feed.csv": answer}) as server:
        first, is_new = take_snapshot(source(server), tmp_path)
        assert is_new and content(tmp_path) == FEED
        again, is_new = take_snapshot(source(server), tmp_path)
        assert not is_new and (again.file, again.validators) == (first.file, first.validators)
        version |= {"data": FEED + b"3,Doll\n", "value": '"a2"' if header == "ETag" else "later"}
        newer, is_new = take_snapshot(source(server), tmp_path)
    assert is_new and newer.file != first.file and content(tmp_path) == FEED + b"3,Doll\n"
    asked = "if-none-match" if header == "ETag" else "if-modified-since"
    assert [headers.get(asked) for headers in seen] == [None, *[first.validators[header.lower()]] * 2]


def test_another_source_is_asked_without_the_validators_of_the_last(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []
    answer = versioned(seen, lambda: FEED, "ETag", lambda: '"1"')
    with serving({"/feed.csv": answer, "/other.csv": answer}) as server:
        take_snapshot(source(server), tmp_path)
        take_snapshot(source(server, "/other.csv"), tmp_path)
    assert [headers.get("if-none-match") for headers in seen] == [None, None]


def test_a_snapshot_that_was_cut_is_taken_anew(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []
    with serving({"/feed.csv": versioned(seen, lambda: FEED, "ETag", lambda: '"1"')}) as server:
        snapshot = take_snapshot(source(server), tmp_path).snapshot
        (tmp_path / snapshot.file).write_bytes(FEED[:5])
        assert last_snapshot(tmp_path) is None
        take_snapshot(source(server), tmp_path)
        assert content(tmp_path) == FEED


def test_the_same_content_is_the_same_file_and_the_newest_are_kept(tmp_path: Path) -> None:
    answers = in_turn(*(status(200, FEED + b"%d,x\n" % number) for number in (1, 1, 2, 3, 4, 5)))
    with serving({"/feed.csv": answers}) as server:
        taken = [take_snapshot(source(server), tmp_path) for _ in range(6)]
    assert [is_new for _, is_new in taken] == [True, False, True, True, True, True]
    assert taken[0].snapshot.file == taken[1].snapshot.file
    files = {taken.snapshot.file for taken in taken[-KEPT:]}
    assert names(tmp_path) == files | {"last.json"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (body(FEED[:10], length=len(FEED)), "breaks the connection off, 5 times in a row"),
        (body(FEED[:10]), "breaks the connection off, 5 times in a row"),
        (body(gzip.compress(FEED)[:-12], length=len(gzip.compress(FEED)) - 12, Content_Encoding="gzip"), "too early"),
        (body(b"no gzip", length=7, Content_Encoding="gzip"), "is no gzip"),
        (status(200, FEED, Content_Encoding="br"), "encoding br, which was not asked for"),
        (status(500), "status 500, 5 times in a row"),
        (status(429, Retry_After="86400"), "status 429"),
        (status(404), "status 404"),
        (status(204), "status 204"),
        (status(304), "status 304"),
        (status(302, Location="ftp://host/feed"), "redirects to no address"),
        (status(302, Location="/feed.csv"), "from address to address"),
    ],
)  # fmt: skip
def test_after_a_failure_the_last_snapshot_stays(tmp_path: Path, answer: Answer, said: str) -> None:
    with serving({"/feed.csv": in_turn(status(200, FEED), answer)}) as server:
        take_snapshot(source(server), tmp_path)
        before = names(tmp_path)
        with pytest.raises(Away, match=said):
            take_snapshot(source(server), tmp_path)
    assert content(tmp_path) == FEED and names(tmp_path) == before


@pytest.mark.parametrize("status_", [408, 425, 429, 500, 503])
def test_what_may_pass_is_tried_again(tmp_path: Path, status_: int) -> None:
    answers = in_turn(status(status_), status(status_, Retry_After="0"), body(FEED[:9], length=28), status(200, FEED))
    with serving({"/feed.csv": answers}) as server:
        take_snapshot(source(server), tmp_path)
        assert content(tmp_path) == FEED and server.count("/feed.csv") == 4


def test_a_host_is_given_the_time_that_it_asks_for(tmp_path: Path) -> None:
    with serving({"/feed.csv": in_turn(status(503, Retry_After="1"), status(200, FEED))}) as server:
        started = time.monotonic()
        take_snapshot(source(server), tmp_path)
        assert 1.0 <= time.monotonic() - started < 10.0


@pytest.mark.parametrize("size", [1024, 1025])
def test_bytes_are_limited_whatever_the_header_says(tmp_path: Path, size: int) -> None:
    data = b"x" * size
    packed = gzip.compress(data)
    answers = {
        "/announced.csv": status(200, data), "/chunks.csv": body(data[:500], data[500:], END),
        "/packed.csv": body(packed, length=len(packed), Content_Encoding="gzip"),
        "/members.csv": body(gzip.compress(data[:9]) + gzip.compress(data[9:]), END, Content_Encoding="gzip"),
    }  # fmt: skip
    with serving(answers) as server:
        for number, path in enumerate(answers):
            folder = tmp_path / str(number)
            wanted = source(server, path, max_bytes=1024)
            if size <= 1024:
                take_snapshot(wanted, folder)
                assert content(folder) == data
            else:
                with pytest.raises(Away, match="more than 1,024 bytes") as caught:
                    take_snapshot(wanted, folder)
                assert "source.max_bytes" in caught.value.hint and names(folder) == set()


def test_memory_is_bounded_whatever_comes(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(300 * 2**20), 9)
    with serving({"/feed.csv": body(bomb, length=len(bomb), Content_Encoding="gzip")}) as server:
        wanted = source(server, max_bytes=200 * 2**20)
        tracemalloc.start()
        try:
            with pytest.raises(Away, match="more than"):
                take_snapshot(wanted, tmp_path)
            assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
        finally:
            tracemalloc.stop()


def test_a_drip_ends_at_the_deadline_and_silence_earlier(tmp_path: Path) -> None:
    over = threading.Event()
    drip = body(*[b"x"] * 1000, length=1000, pause=lambda: over.wait(0.05))
    silence = body(b"x", length=1000, pause=lambda: over.wait(30))
    with serving({"/drip.csv": drip, "/silence.csv": silence}) as server:
        started = time.monotonic()
        with pytest.raises(Away, match="not there within 1 seconds"):
            take_snapshot(source(server, "/drip.csv", deadline=1.0), tmp_path)
        with pytest.raises(Away, match="says nothing"):
            take_snapshot(source(server, "/silence.csv", timeout=0.1), tmp_path)
        assert time.monotonic() - started < 15.0
        over.set()


def test_private_hosts_need_to_be_meant_at_each_hop(tmp_path: Path) -> None:
    with serving({"/feed.csv": status(200, FEED)}) as inner:
        with pytest.raises(Away, match=r"127\.0\.0\.1 has an address that is not public") as caught:
            take_snapshot(source(inner, allow_private=False), tmp_path)
        assert "allow_private" in caught.value.hint and inner.seen == []
        # A name that is public to these eyes sends on to one that is not.
        elsewhere = status(302, Location=f"http://inner.example:{inner.port}/feed.csv")
        with serving({"/feed.csv": elsewhere}, "127.0.0.2") as outer:
            places = {"shop.example": ["127.0.0.2"], "inner.example": ["127.0.0.1"]}
            url = f"http://shop.example:{outer.port}/feed.csv"
            settings = HttpSource(url=url)
            eyes = {"resolve": lambda host, port: places[host], "public": lambda ip: ip == "127.0.0.2" or is_public(ip)}
            with (
                pytest.raises(Away, match=r"inner\.example has an address"),
                Download(settings, request(url, None, False, HttpSource.example), **eyes) as transfer,  # type: ignore[arg-type]
            ):
                transfer.fetch(tmp_path / "feed", {})
            assert len(outer.seen) == 1 and inner.seen == []


def test_a_redirect_is_followed_without_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    tokens: dict[str, str | None] = {}

    def noting(name: str, then: Answer) -> Answer:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            tokens[name] = handler.headers.get("authorization")
            then(handler)

        return answer

    with serving({"/exports/feed.csv.gz": noting("other", status(200, FEED))}, "127.0.0.2") as other:
        away = noting("own, again", status(307, Location=other.url("/exports/feed.csv.gz")))
        answers = {"/feed": noting("own", status(301, Location="/moved")), "/moved": away}
        with serving(answers) as server:
            snapshot = take_snapshot(source(server, "/feed", token="env:SHOP_TOKEN"), tmp_path).snapshot
    assert tokens == {"own": f"Bearer {SECRET}", "own, again": f"Bearer {SECRET}", "other": None}
    assert snapshot.file.endswith(".csv.gz") and content(tmp_path) == FEED


@pytest.mark.parametrize(
    ("path", "headers", "suffix"),
    [
        ("/feed.csv.gz", {}, ".csv.gz"),
        ("/Feed.JSONL?shop=1.csv", {}, ".jsonl"),
        ("/export", {"Content_Disposition": 'attachment; filename="today.xml.zst"'}, ".xml.zst"),
        ("/export", {"Content_Type": "text/csv; charset=utf-8"}, ".csv"),
        ("/export", {}, ""),
    ],
)
def test_the_format_is_told_by_names_and_the_type(
    tmp_path: Path, path: str, headers: dict[str, str], suffix: str
) -> None:
    with serving({path.partition("?")[0]: status(200, FEED, **headers)}) as server:
        snapshot = take_snapshot(source(server, path), tmp_path).snapshot
    assert snapshot.file[64:] == suffix


def test_a_password_out_of_a_file_is_sent_and_shown_nowhere(tmp_path: Path) -> None:
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("authorization"))
        status(200 if len(seen) == 1 else 403, FEED, ETag='"1"')(handler)

    with serving({"/f.csv": answer}) as server:
        file = tmp_path / "address"
        file.write_text(f"http://shop:{SECRET}@127.0.0.1:{server.port}/f.csv?key={SECRET}\n")
        wanted = source(server, url=f"file:{file}")
        folder = tmp_path / "snapshots"
        take_snapshot(wanted, folder)
        with pytest.raises(Away) as caught:
            take_snapshot(wanted, folder)
    assert seen == ["Basic c2hvcDp3b29kLTdjMWQwYTllNTU="] * 2
    assert wanted.title() == f"http://127.0.0.1:{server.port}/…"
    assert SECRET not in f"{caught.value.why} {caught.value.hint} {wanted.title()} {(folder / 'last.json').read_text()}"


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("http://shop.example/f.csv", SECRET, "unencrypted"),
        (f"http://shop:{SECRET}@shop.example/f.csv", None, "unencrypted"),
        (f"ftp://shop:{SECRET}@shop.example/f.csv", None, "an address like"),
        (f"https://shop:{SECRET}@/f.csv", None, "an address like"),
        ("https://shop.example/f.csv", f"{SECRET}\r\nX: y", "in one line"),
    ],
)
def test_what_cannot_be_used_is_said_without_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, token: str | None, said: str
) -> None:
    monkeypatch.setenv("SHOP_URL", url)
    monkeypatch.setenv("SHOP_TOKEN", token or "")
    settings = HttpSource(url="env:SHOP_URL", token="env:SHOP_TOKEN" if token else None)
    with pytest.raises(InputError, match=said) as caught:
        take_snapshot(settings, tmp_path)
    assert SECRET not in str(caught.value)


def test_one_process_at_a_time_takes_a_snapshot(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()
    slow = body(FEED, length=len(FEED), pause=lambda: (asked.set(), go_on.wait(20)))
    with serving({"/feed.csv": slow}) as server:
        first = threading.Thread(target=take_snapshot, args=(source(server), tmp_path))
        first.start()
        try:
            # Wait until the server has been asked, so that the first one holds the folder.
            assert asked.wait(20)
            with pytest.raises(InputError, match="another process"):
                take_snapshot(source(server), tmp_path)
        finally:
            go_on.set()
            first.join()
    assert content(tmp_path) == FEED
