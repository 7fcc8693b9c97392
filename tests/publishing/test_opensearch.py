"""OpenSearch: what the index holds, what it refuses, and servers that are busy, away or not meant."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from modules.errors import InputError
from modules.predictions.documents import Document, removal
from publishing.log import PublicationLog, status_of
from publishing.publish import Stopped
from publishing.targets import target_for
from publishing.targets.base import Busy, Options, PartlyRefused, Refused, Unusable
from tests.opensearch_server import SearchServer
from tests.publishing.shop import answers, expected, predict, publish_to, rounded


@pytest.mark.opensearch
def test_a_product_that_the_index_cannot_hold_is_a_dead_letter(search_server: SearchServer, tmp_path: Path) -> None:
    rows = predict(tmp_path / "p", {"train": 20})
    index = "dead-letters"
    # Somebody has made the index in another form.
    search_server.ask(index, "PUT", {"mappings": {"properties": {"retailer": {"type": "long"}}}})
    counts = publish_to(target_for(search_server.address(index), Options()), tmp_path / "p", tmp_path / "log")
    assert (counts.sent, counts.refused) == (0, len(rows))
    with PublicationLog(tmp_path / "log", "x") as log:
        letters = list(log.dead_letters())
    assert {letter.status for letter in letters} == {400}
    assert all("failed to parse" in letter.reason for letter in letters)


@pytest.mark.opensearch
def test_the_rest_of_a_batch_arrives_beside_a_refusal(search_server: SearchServer) -> None:
    place = target_for(search_server.address("partly"), Options())
    place.start(1)
    good = [Document(name, {"id": name, "version": 1, "retailer": "r"}, b"d") for name in "abc"]
    bad = Document("bad", {"id": "bad", "version": 1, "retailer": {"no": "text"}}, b"d")
    with pytest.raises(PartlyRefused) as caught:
        place.send([*good[:2], bad, good[2], removal("never-there", 1)])
    place.finish()
    assert {name: refusal.status for name, refusal in caught.value.refusals.items()} == {"bad": 400}
    assert search_server.documents("partly") == {document.id: document.values for document in good}


@pytest.mark.opensearch
def test_an_id_that_is_too_long_is_refused_alone(search_server: SearchServer) -> None:
    place = target_for(search_server.address("ids"), Options())
    place.start(1)
    with pytest.raises((Refused, PartlyRefused), match="id"):
        place.send([Document("x" * 600, {"id": "x", "version": 1}, b"d")])
    place.finish()


@pytest.mark.opensearch
def test_an_index_that_nobody_may_write_to_stops_the_publication(search_server: SearchServer, tmp_path: Path) -> None:
    predict(tmp_path / "p", {"train": 10})
    search_server.ask("blocked", "PUT", {"settings": {"index.blocks.write": True}})
    with pytest.raises(Stopped, match="blocked by"):
        publish_to(target_for(search_server.address("blocked"), Options()), tmp_path / "p", tmp_path / "log")
    search_server.ask("blocked/_settings", "PUT", {"index.blocks.write": False})
    counts = publish_to(target_for(search_server.address("blocked"), Options()), tmp_path / "p", tmp_path / "log")
    assert counts.sent == 10


@pytest.mark.opensearch
@pytest.mark.slow
@pytest.mark.parametrize(("point", "number"), [("sent", 0), ("noted", 2), ("sent", 5)])
def test_a_kill_loses_and_doubles_nothing(search_server: SearchServer, tmp_path: Path, point: str, number: int) -> None:
    address = search_server.address(f"kills-{point}-{number}")
    predict(tmp_path / "p", {"train": 40, "test": 20})
    publish_to(target_for(address, Options()), tmp_path / "p", tmp_path / "log")
    rows = predict(tmp_path / "p", {"train": 62}, seed=1)
    arguments = [str(tmp_path / "p"), str(tmp_path / "log"), address, point, str(number)]
    ended = subprocess.run([sys.executable, "-m", "tests.publishing.publisher", *arguments], input=b"\n")
    assert ended.returncode == -signal.SIGKILL
    publish_to(target_for(address, Options()), tmp_path / "p", tmp_path / "log")
    state = search_server.documents(address.rpartition("/")[2])
    assert answers(state) == rounded(expected(rows)) and status_of(tmp_path / "log").products == 62


@contextmanager
def answering(
    status: int, content: bytes = b"", kind: str = "application/json", users: list[str] | None = None
) -> Iterator[str]:
    """The address of a server that has the index, and answers each batch with a status; who asked goes to ``users``."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if users is not None:
                users.append(base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode())
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"opensearch+http://127.0.0.1:{server.server_address[1]}/products"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, Busy), (500, Busy), (503, Busy), (400, Refused), (413, Refused), (401, Unusable), (403, Unusable)],
)
def test_what_a_status_means(status: int, kind: type[Exception], capfd: pytest.CaptureFixture[str]) -> None:
    with answering(status) as address:
        place = target_for(address, Options())
        place.start(1)
        with pytest.raises(kind):
            place.send([Document("a", {"id": "a", "version": 1}, b"d")])
        place.finish()
    # The client's own account of a failure would hold the documents.
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "text/plain"),
        (b"it works", "text/html"),
        (b"{", "application/json"),
        (b"{}", "application/json"),
        (b"null", "application/json"),
        (b'{"errors": true}', "application/json"),
        (b'{"errors": true, "items": [{}]}', "application/json"),
        (b'{"errors": true, "items": [{"index": {"_id": "a", "error": "no"}}]}', "application/json"),
        (b'{"errors": true, "items": [{"index": {"_id": "a", "status": 400, "error": "no"}}]}', "application/json"),
        # Nobody knows what became of the product.
        (b'{"errors": false, "items": []}', "application/json"),
    ],
)
def test_a_server_that_is_no_opensearch_has_taken_nothing(content: bytes, kind: str) -> None:
    with answering(200, content, kind) as address:
        place = target_for(address, Options())
        place.start(1)
        with pytest.raises(Unusable, match="answers as no OpenSearch does"):
            place.send([Document("a", {"id": "a", "version": 1}, b"d")])
        place.finish()


def test_a_password_may_have_any_character(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = b'{"errors": false, "items": [{"index": {"_id": "a", "status": 201}}]}'
    users: list[str] = []
    with answering(200, taken, users=users) as address:
        monkeypatch.setenv("SHOP_SEARCH", address.replace("://", "://käufer:p%E2%82%AC@"))
        place = target_for("env:SHOP_SEARCH", Options())
        place.start(1)
        place.send([Document("a", {"id": "a", "version": 1}, b"d")])
        place.finish()
    assert users == ["käufer:p€"]


def test_a_server_that_is_away_is_told_from_one_without_tls() -> None:
    with pytest.raises(Busy, match="cannot be reached"):
        target_for("opensearch+http://127.0.0.1:1/products", Options()).start(1)
    with answering(200) as address, pytest.raises(Unusable, match="no certificate that can be trusted"):
        target_for(address.replace("+http", ""), Options()).start(1)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("opensearch://shop:hunter22@search/products", "no password on the command line"),
        ("opensearch://search", "expected an index' name"),
        ("opensearch://search/Products", "expected an index' name"),
        ("opensearch://search/a/_doc", "expected an index' name"),
        ("opensearch+tcp://search/a", "opensearch+http:// is for"),
        ("opensearch://search:x/a", "expected an address like"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        target_for(address, Options())
    assert words in str(caught.value) and "hunter22" not in str(caught.value)


def test_a_name_says_where_without_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SEARCH", "opensearch://shop:hunter22@search/products")
    place = target_for("env:SHOP_SEARCH", Options())
    assert place.name == "OpenSearch https://search:9200, index products" and "hunter22" not in place.identity
