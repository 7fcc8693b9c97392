"""Storms of sign-ins against a real server: nobody who knows a password is kept out, no guess goes uncounted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from labelling.store import Store, accounts, throttle
from labelling.store import tables as t
from labelling.store.database import now
from tests.labelling.serving import Annotator, Server

PASSWORD = "correct horse battery staple"
PEOPLE = 60
STORM = 10.0
"""Seconds that guessing goes on for."""

pytestmark = [pytest.mark.slow, pytest.mark.storms]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    place = str(tmp_path / "labels.sqlite")
    with Store(place) as store, store.write() as connection:
        accounts.put(connection, "boss", now(), password=PASSWORD, role="admin")
        for i in range(PEOPLE):
            accounts.put(connection, f"w{i}", now(), password=PASSWORD)
    found = Server(place, "--accounts")
    found.start()
    assert httpx.get(found.url + "/health", timeout=60).status_code == 200
    yield found
    found.stop()


def at_once(number: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
        assert not thread.is_alive()


def sign_in(http: httpx.Client, name: str, password: str = PASSWORD) -> httpx.Response:
    return http.post("/sign-in", data={"name": name, "password": password})


def peak(server: Server) -> int:
    """MiB that the server's process had in memory at most."""
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


def guessing(server: Server, name: Callable[[int], str], codes: Counter[int], threads: int = 16) -> threading.Thread:
    """Guesses from one address, by several threads, for ``STORM`` seconds."""
    end = time.monotonic() + STORM

    def guess(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            for count in range(100_000):
                if time.monotonic() > end:
                    return
                codes[sign_in(http, name(number * 100_000 + count), f"guess {count}").status_code] += 1

    found = threading.Thread(target=at_once, args=(threads, guess))
    found.start()
    return found


@pytest.mark.parametrize("same", [False, True], ids=["sixty people", "one account"])
def test_sixty_right_ones_at_once_all_get_in_and_pages_answer(
    server: Server, same: bool, record_property: Callable[[str, object], None]
) -> None:
    before, codes, waits, pages = peak(server), Counter[int](), [], []
    done = threading.Event()

    def look() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            while not done.is_set():
                start = time.monotonic()
                assert http.get("/sign-in").status_code == 200
                pages.append(time.monotonic() - start)

    def work(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=120) as http:
            start = time.monotonic()
            codes[sign_in(http, "w0" if same else f"w{number}").status_code] += 1
            waits.append(time.monotonic() - start)

    looking = threading.Thread(target=look)
    looking.start()
    at_once(PEOPLE, work)
    done.set()
    looking.join(timeout=60)
    more = peak(server) - before
    print(f"peak {peak(server)} MiB ({more} more), slowest {max(waits):.1f} s, page {max(pages):.2f} s at most")
    assert codes == {303: PEOPLE} and len(pages) > 1
    # Two hashes of 64 MiB at a time, and their connections; all sixty at once were 1,000 more.
    assert more < 300


def test_wrong_names_behind_one_address_keep_nobody_out(server: Server) -> None:
    codes: Counter[int] = Counter()
    storm = guessing(server, "nobody-{}".format, codes)
    for i in range(3):
        with httpx.Client(base_url=server.url, timeout=60) as http:
            for _ in range(30):
                if (answer := sign_in(http, f"w{i}")).status_code == 303:
                    break
                assert answer.status_code in (429, 503) and int(answer.headers["retry-after"]) >= 1
    storm.join(timeout=300)
    print(f"guesses by code: {dict(codes)}")
    assert codes[401] <= 51 + STORM / 0.5 * 2  # the free ones, then two per wait at most
    assert codes[500] == 0
    # As soon as the storm is over the whole office gets in.
    one = Annotator(server.url)
    assert one.sign_in("boss", PASSWORD).status_code == 303


def test_guesses_of_one_account_are_all_counted_and_its_owner_gets_in(server: Server) -> None:
    owner = httpx.Client(base_url=server.url, timeout=60)
    assert sign_in(owner, "boss").status_code == 303
    codes: Counter[int] = Counter()
    storm = guessing(server, lambda _: "boss", codes)
    owner.cookies.delete("shelfmark_session")
    start = time.monotonic()
    # From the browser that she has signed in on, while others guess.
    assert sign_in(owner, "boss").status_code == 303
    took = time.monotonic() - start
    storm.join(timeout=300)
    with Store(server.place) as store, store.read() as connection:
        failed = [one for one in accounts.audit_log(connection, limit=10_000) if one.action == "sign-in failed"]
    print(f"guesses by code: {dict(codes)}; the owner took {took:.1f} s")
    assert len(failed) == codes[401]
    # Six at once, then after 1, 2, 4 and 8 seconds, and 16: asking in parallel has gained nothing.
    assert codes[401] <= 11 and codes[429] > 0 and codes[500] == 0


def test_what_a_kill_cuts_off_is_not_counted(server: Server) -> None:
    answered: Counter[str] = Counter()
    for _ in range(4):
        before, enough = sum(answered.values()), threading.Event()

        def work(number: int, before: int = before, enough: threading.Event = enough) -> None:
            try:
                with httpx.Client(base_url=server.url, timeout=60) as http:
                    answered[f"w{number}"] += sign_in(http, f"w{number}", "wrong").status_code == 401
            except httpx.TransportError:
                pass
            if sum(answered.values()) >= before + 3:
                enough.set()

        storm = threading.Thread(target=at_once, args=(30, work))
        storm.start()
        assert enough.wait(timeout=60)
        server.kill()
        storm.join(timeout=120)
        server.start()
        assert httpx.get(server.url + "/health", timeout=60).status_code == 200
    with Store(server.place) as store, store.read() as connection:
        rows = connection.execute(select(t.sign_in_failures)).all()
        noted = len([one for one in accounts.audit_log(connection, limit=1_000) if one.action == "sign-in failed"])
    address = next(row.failures for row in rows if row.kind == "address")
    print(f"answered {sum(answered.values())}, counted {noted}")
    # Of some thirty guesses that each kill cuts off, those alone that were counted and not answered yet.
    assert sum(answered.values()) <= noted <= sum(answered.values()) + 4 * 6
    assert address <= noted and throttle.LIMITS["address"].wait(address) <= 4
    assert Annotator(server.url, timeout=60).sign_in("w59", PASSWORD).status_code == 303
