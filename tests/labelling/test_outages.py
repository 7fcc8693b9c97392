"""Stores that another program holds, or that are gone, on a real server: no page hangs, no answer is lost."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from labelling.store import Store, accounts
from labelling.store import tables as t
from labelling.store.database import SERVING, Patience, now
from labelling.store.outages import REASONS, Unavailable
from tests.labelling import shop
from tests.labelling.holding import WHILE_OPEN, holding
from tests.labelling.serving import Annotator, Server, serving

PAGES = (
    "/",
    "/product?id=p0",
    "/products?q=p",
    "/batch?id=round-1",
    "/review",
    "/runs",
    "/categories",
    "/judge",
    "/search?q=boo",
)
HANG = 15.0
"""Seconds: what takes longer hangs."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "labels.sqlite"
    with Store(file) as store:
        shop.fill(store, shop.batch(40))
    return file


@pytest.fixture
def server(file: Path) -> Iterator[Server]:
    with serving(str(file), "--annotator", "ann", "--write-wait", "1") as server:
        yield server


def labels(file: Path) -> int:
    with Store(file) as store, store.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(t.labels)) or 0)


def hidden_from(answer: httpx.Response, file: Path) -> None:
    """Nothing of the server's inside is in its answer."""
    inside = rf"{re.escape(str(file.parent))}|\.sqlite|Traceback|sqlalchemy|sqlite3|Error\b|BEGIN|SELECT|INSERT"
    assert not re.search(inside, answer.text), answer.text


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in WHILE_OPEN if kind != "pending byte"])
def test_pages_answer_and_writes_are_refused_while_the_store_is_held(file: Path, server: Server, kind: str) -> None:
    ann = Annotator(server.url, HANG)
    ann.look()
    card = ann.next()
    assert card is not None
    with holding(file, kind):
        health = ann.http.get("/health")
        assert (health.status_code, health.json()["store"]) == (503, "held")
        assert [ann.http.get(path).status_code for path in PAGES] == [200] * len(PAGES)
        for answer in (
            ann.say(card, shop.BOOTS),
            ann.undo(),
            ann.http.get("/label/next", headers={"accept": "application/json"}),
        ):
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
            assert answer.json() == {"error": REASONS["held"], "store": "held"}
        page = ann.http.get("/label")
        assert page.status_code == 503 and 'http-equiv="refresh"' in page.text and REASONS["held"] in page.text
        # Without a script the page keeps the answer, and is not loaded over it.
        kept = ann.http.post("/label", data={**card, "category": shop.BOOTS, "csrf": ann.csrf})
        assert kept.status_code == 503 and 'http-equiv="refresh"' not in kept.text
        hidden_from(page, file)
        hidden_from(kept, file)
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', kept.text.partition("Send it again")[0]))
    assert fields["request"] == card["request"]
    assert ann.http.post("/label", data=fields).status_code == 303
    assert ann.say(card, shop.BOOTS).status_code == 200
    assert labels(file) == 1
    assert ann.http.get("/health").json() == {"ok": True, "store": "ok"}


@pytest.mark.slow
def test_waiting_writers_leave_threads_to_readers(file: Path, server: Server) -> None:
    ann = Annotator(server.url, HANG)
    ann.look()
    card = ann.next()
    assert card is not None
    answers: list[tuple[int, float]] = []

    def say() -> None:
        one = Annotator(server.url, HANG)
        one.csrf, began = ann.csrf, time.monotonic()
        while not let_go.is_set():
            answer = one.say(card, shop.BOOTS)
            answers.append((answer.status_code, time.monotonic() - began))

    let_go = threading.Event()
    with holding(file):
        threads = [threading.Thread(target=say) for _ in range(60)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                assert ann.http.get("/health").status_code == 503
                assert ann.http.get("/product?id=p0").status_code == 200
        finally:
            let_go.set()
            for thread in threads:
                thread.join()
    # Those for whom there is no place to wait are refused without it: far more than 9 writers a second.
    assert {code for code, _ in answers} == {503} and len(answers) >= 60
    assert ann.say(card, shop.BOOTS).status_code == 200 and labels(file) == 1


@pytest.mark.slow
def test_sign_in_is_refused_in_time_and_tells_nothing(file: Path) -> None:
    password = "correct horse battery staple"
    with Store(file) as store, store.write() as connection:
        accounts.put(connection, "boss", now(), password=password, role="admin")
    with serving(str(file), "--accounts", "--write-wait", "1") as server:
        boss = Annotator(server.url, HANG)
        assert boss.sign_in("boss", password).status_code == 303
        with holding(file):
            told = set()
            for one in (password, "wrong password 123"):
                answer = Annotator(server.url, HANG).sign_in("boss", one)
                assert answer.status_code == 503 and one not in answer.text
                hidden_from(answer, file)
                told.add(answer.text)
            assert len(told) == 1
            # Who is signed in goes on looking.
            assert boss.http.get("/audit").status_code == 200
        assert Annotator(server.url, HANG).sign_in("boss", password).status_code == 303


@pytest.mark.slow
@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_is_gone_or_replaced_is_not_written_to(file: Path, server: Server, replaced: bool) -> None:
    ann = Annotator(server.url, HANG)
    ann.look()
    card = ann.next()
    assert card is not None
    away = file.with_name("away")
    file.rename(away)
    if replaced:
        with Store(file) as store:
            shop.fill(store, shop.batch(3))
    kind = "replaced" if replaced else "gone"
    for answer in (ann.say(card, shop.BOOTS), ann.http.get("/"), ann.http.get("/label")):
        assert answer.status_code == 503 and REASONS[kind] in answer.text.replace("&#39;", "'")
        hidden_from(answer, file)
    assert ann.http.get("/health").json() == {"ok": False, "store": kind}
    assert file.exists() is replaced
    if replaced:
        assert labels(file) == 0
        file.unlink()
    away.rename(file)
    if replaced:
        # The other store's last program has taken the log away, into which answers would go and be lost.
        assert ann.say(card, shop.BOOTS).status_code == 503
        server.stop()
        server.start()
        ann.look()
    assert ann.say(card, shop.BOOTS).status_code == 200
    assert ann.http.get("/health").status_code == 200 and labels(file) == 1


@pytest.mark.parametrize("fields", [
    {"product": "ghost", "item": ""}, {"item": "999"}, {"item": "x"}, {"item": "9" * 30}, {"item": "1,2"},
    {"item": "-1"},
    {"objective": "nothing"}, {"category": "nothing"}, {"product": "p1"}, {"seconds": "soon"}, {"request": ""},
    {"product": ""}, {"objective": "rule_based"}, {"item": "²"},
])  # fmt: skip
def test_an_answer_about_nothing_is_refused(client: Annotator, file: Path, fields: dict[str, str]) -> None:
    card = {"item": "1", "product": "p0", "objective": "exclusive", "request": "r", "category": shop.BOOTS}
    answer = client.http.post(
        "/label", data={**card, **fields, "csrf": client.csrf}, headers={"accept": "application/json"}
    )
    assert answer.status_code == 400 and answer.json()["error"].startswith("not kept: ")
    hidden_from(answer, file)
    page = client.http.post("/label", data={**card, **fields, "csrf": client.csrf})
    assert page.status_code == 400 and page.headers["content-type"].startswith("text/html")
    assert labels(file) == 0


@pytest.mark.parametrize("fields", [
    {"id": "nothing", "action": "close"}, {"action": "erase"}, {"action": "overlap", "overlap": "0"},
    {"action": "overlap", "overlap": "many"}, {"action": "overlap"}, {"action": "assign", "annotator": "ghost"},
    {"action": "assign"}, {"action": "assign", "annotator": "ann", "count": "few"},
])  # fmt: skip
def test_a_change_of_a_batch_about_nothing_is_refused(client: Annotator, file: Path, fields: dict[str, str]) -> None:
    tables = (t.batches, t.items, t.audit)

    def all_of() -> list[list[tuple[object, ...]]]:
        with Store(file) as store, store.read() as connection:
            return [[tuple(row) for row in connection.execute(select(table))] for table in tables]

    before = all_of()
    assert client.http.post("/batch", data={"id": "round-1", **fields, "csrf": client.csrf}).status_code == 400
    assert all_of() == before


def test_products_that_the_store_knows_are_labelled_without_an_item(client: Annotator, file: Path) -> None:
    with Store(file) as store:
        shop.near(store, "p0", "twin")
    for number, product in enumerate(("p3", "twin")):
        data = {"product": product, "objective": "exclusive", "category": shop.BOOTS, "request": f"r{number}"}
        assert client.http.post("/label", data={**data, "csrf": client.csrf}).status_code == 303
    assert labels(file) == 2


@pytest.fixture
def client(file: Path) -> Iterator[Annotator]:
    from starlette.testclient import TestClient

    from labelling.web.app import create_app
    from labelling.web.context import Settings

    with Store(file, patience=SERVING) as store:
        found = Annotator("http://127.0.0.1:8765")
        found.http = TestClient(  # type: ignore[assignment]
            create_app(store, Settings("ann", port=8765)), base_url="http://127.0.0.1:8765", follow_redirects=False,
            headers={"accept": "text/html"},
        )  # fmt: skip
        found.look()
        yield found


def test_commands_say_who_is_at_fault(file: Path) -> None:
    with Store(file, patience=Patience(0.5, 0.5)) as store, holding(file):
        with pytest.raises(Unavailable, match="another program has locked the label store") as caught, store.write():
            pass
        assert caught.value.kind == "held" and str(file) in str(caught.value)
        with store.read() as connection:
            assert connection.scalar(select(func.count()).select_from(t.items)) == 40


def test_a_full_disk_keeps_what_was_kept(full_disk: Callable[[], None], tmp_path: Path) -> None:
    file = tmp_path / "disk" / "labels.sqlite"
    with Store(file, patience=SERVING) as store:
        shop.fill(store, shop.batch(3))
        full_disk()
        with pytest.raises(Unavailable) as caught:
            for number in range(1000):
                with store.write() as connection:
                    accounts.record(connection, number, "ann", "noise", {"much": "x" * 5000})
        assert caught.value.kind == "full" and store.state() == "full"
        with store.read() as connection:
            assert connection.scalar(select(func.count()).select_from(t.items)) == 3
        (tmp_path / "disk" / "ballast").unlink()
        with store.write() as connection:
            accounts.record(connection, 1, "ann", "again", {})
        assert store.state() == "ok"


def test_a_disk_that_can_only_be_read(disk: Path) -> None:
    file = disk / "labels.sqlite"
    with Store(file) as store:
        shop.fill(store, shop.batch(3))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(Unavailable, match="can be read, but not written to.*the right to write") as caught:
        Store(file)
    assert caught.value.kind == "read-only"
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    with Store(file) as store, store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(t.items)) == 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def full_disk(disk: Path) -> Callable[[], None]:
    """What fills the disk."""

    def fill() -> None:
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                return

    return fill
