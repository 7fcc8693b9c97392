"""Objects over the wire, from servers on loopback that speak S3 and Google's JSON API: bytes, names, errors, limits."""

from __future__ import annotations

import fnmatch
import gzip
import io
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modules import object_stores
from modules.errors import InputError
from modules.feeds.files import find_files, fingerprint, format_of, parts
from modules.feeds.opening import open_plain
from modules.feeds.readers import Record, read_records
from modules.object_stores import Patience, match, objects_in, open_object, read_object, size_of
from modules.settings.feed import FeedSettings
from tests.object_store import ObjectStore

SCHEMES = ("s3", "minio", "gs")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """A store that takes connections and says nothing."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name, value in ObjectStore.variables_for(url).items():
            monkeypatch.setenv(name, value)

        def take() -> None:
            try:
                while True:
                    taken.append(server.accept()[0])
            except OSError:
                return

        threading.Thread(target=take, daemon=True).start()
        yield taken
        server.shutdown(socket.SHUT_RDWR)
    for one in taken:
        one.close()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_object_is_read_at_any_place(store: ObjectStore, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(object_stores, "_BLOCK", 1000)
    data = np.random.default_rng(0).bytes(10_000)
    store.objects["shop", "a folder/b%20ü.bin"] = data
    url = f"{scheme}://shop/a folder/b%20ü.bin"
    with open_object(url) as stream:
        for start, size in ((0, 3), (9_990, 100), (4, 2500), (10_000, 5), (0, -1), (999, 2)):
            assert stream.seek(start) == start
            assert stream.read(size) == data[start:][: None if size < 0 else size]
        assert stream.seek(20_000) == 20_000 and stream.read(3) == b""
        assert stream.seek(-5, io.SEEK_END) == 9_995 and stream.read() == data[-5:]
        stream.seek(10)
        assert stream.seek(5, io.SEEK_CUR) == 15 and stream.read(4) == data[15:19] and stream.tell() == 19
    assert size_of(url) == 10_000
    assert read_object(url, 10_000) == data and read_object(url, 9_999) is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_empty_object(store: ObjectStore, scheme: str) -> None:
    store.objects["shop", "empty"] = b""
    assert read_object(f"{scheme}://shop/empty", 10) == b"" and size_of(f"{scheme}://shop/empty") == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_patterns_match_as_on_the_disk(store: ObjectStore, scheme: str) -> None:
    names = ["a.jsonl", "b.jsonl.gz", "c.csv", "2026/a.jsonl", "2026/11/a.jsonl", "2026/11/b.csv", "[x].csv"]
    for name in names:
        store.objects["shop", f"feed/{name}"] = b"x"
    store.objects["shop", "feedback/a.jsonl"] = store.objects["other", "feed/a.jsonl"] = b"x"
    base = f"{scheme}://shop/feed/"

    def found(pattern: str) -> list[str]:
        matched = match(base + pattern)
        assert matched == sorted(matched) and all(one.startswith(base) for one in matched)
        return [one.removeprefix(base) for one in matched]

    for pattern in ("*.jsonl", "*.jsonl*", "?.csv", "[a-b].*", "none*"):
        assert found(pattern) == [one for one in sorted(names) if "/" not in one and fnmatch.fnmatch(one, pattern)]
    assert found("**/*.jsonl") == ["2026/11/a.jsonl", "2026/a.jsonl", "a.jsonl"]
    assert found("*/*.jsonl") == ["2026/a.jsonl"] and found("2026/**/*.csv") == ["2026/11/b.csv"]
    assert found("c.csv") == ["c.csv"] and found("none.csv") == []
    assert objects_in(f"{scheme}://shop/feed/2026/") == [f"{base}2026/a.jsonl"]
    assert match(f"{scheme}://shop/none/*") == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_not_there_or_forbidden_is_an_error_of_its_own(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    store.objects["shop", "a"] = b"x"
    for address in ("shop/none", "nobody/a", "shop/a/b"):
        with pytest.raises(FileNotFoundError, match="there is no such object"):
            read_object(f"{scheme}://{address}", 10)
        with pytest.raises(FileNotFoundError):
            size_of(f"{scheme}://{address}")
    with pytest.raises(OSError):
        read_object(f"{scheme}://shop", 10)
    if scheme == "gs":
        store.forbidden = True
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody else")
    with pytest.raises(PermissionError):
        read_object(f"{scheme}://shop/a", 10)


WRONG = ["s3://shop/a//b", "s3://shop/\ud800", "gs://shop/\ud800", "what://shop/a", "://a", "abfs://c/a"]


@pytest.mark.parametrize("url", [*WRONG, "hdfs://127.0.0.1:1/a", "file:///etc/passwd"])
def test_an_address_that_cannot_be(store: ObjectStore, url: str) -> None:
    with pytest.raises(OSError):
        read_object(url, 10)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_silent_store_is_given_its_time(silent: list[socket.socket], scheme: str) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        read_object(f"{scheme}://shop/a", 10, Patience(connect=1.0, read=0.5, attempts=2, deadline=2.0))
    assert 0.9 < time.monotonic() - began < 15
    assert len(silent) >= 2  # it was asked again


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_store_that_sends_a_byte_now_and_then_is_cut_off(store: ObjectStore, scheme: str) -> None:
    store.objects["shop", "a"] = bytes(10_000)
    store.slow = threading.Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="time allowed"):
        read_object(f"{scheme}://shop/a", 10_000, Patience(connect=1.0, read=5.0, attempts=1, deadline=1.0))
    assert time.monotonic() - began < 5
    store.slow.set()
    store.slow = None
    assert read_object(f"{scheme}://shop/a", 10_000) == bytes(10_000)


def test_a_process_ends_without_what_it_gave_up(store: ObjectStore) -> None:
    store.objects["shop", "a"] = bytes(10_000)
    store.slow = threading.Event()
    code = """
from modules.object_stores import Patience, read_object
try:
    read_object("gs://shop/a", 10_000, Patience(connect=1.0, read=5.0, attempts=1, deadline=0.5))
except TimeoutError:
    print("given up")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    store.slow.set()
    assert (done.returncode, done.stdout) == (0, "given up\n")


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_nobody_answers(store: ObjectStore, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    for name, value in ObjectStore.variables_for(url).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OSError) as caught:
        read_object(f"{scheme}://shop/a", 10, Patience(connect=1.0, read=1.0, attempts=1, deadline=1.0))
    assert not isinstance(caught.value, FileNotFoundError)


def test_what_is_stored_compressed_is_not_unpacked(store: ObjectStore) -> None:
    data = gzip.compress(bytes(1_000_000))
    store.objects["shop", "a"] = data
    store.compressed.add("a")
    for scheme in SCHEMES:
        assert read_object(f"{scheme}://shop/a", len(data)) == data


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_feed(store: ObjectStore, scheme: str) -> None:
    lines = b"".join(b'{"id": "%d", "title": "a boot of size %d"}\n' % (i, i) for i in range(500))
    table = io.BytesIO()
    pq.write_table(pa.table({"id": ["p1", "p2"], "title": ["x", "y"]}), table)
    files = {"a.jsonl.gz": gzip.compress(lines), "b.csv": b"id,title\nc1,bag\nc2,hat\n", "c.parquet": table.getvalue()}
    for name, data in files.items():
        store.objects["shop", f"feed/{name}"] = data
    folder = f"{scheme}://shop/feed"
    found = find_files(FeedSettings(), folder)
    assert found == [f"{folder}/{name}" for name in files]
    settings = FeedSettings()
    records = [one for path in found for one in read_records(path, format_of(path, settings), settings)]
    read = [one.data["id"] for one in records if isinstance(one, Record)]
    assert read == [*map(str, range(500)), "c1", "c2", "p1", "p2"]
    assert {path for task in parts(found, 2) for path, _, _ in task} == set(found)
    before = fingerprint(found, folder)
    store.objects["shop", "feed/b.csv"] = files["b.csv"].replace(b"hat", b"cap")
    assert fingerprint(found, folder) != before
    with open_plain(found[0]) as stream:
        assert stream.read() == lines
    with pytest.raises(InputError, match=r"no file matches"):
        find_files(FeedSettings(files=("*.xml",)), folder)
    with pytest.raises(InputError, match=r"what://shop/\*\.csv: a place that can be listed"):
        find_files(FeedSettings(files=("*.csv",)), "what://shop")
