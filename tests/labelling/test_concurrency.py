"""Twenty annotators at once lose nothing, also when the server is killed in between: real processes, real sockets."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from labelling.store import Store, accounts, queue, rows
from labelling.store.answering import Answer, give
from labelling.store.database import now
from tests.labelling import shop
from tests.labelling.serving import Annotator, serving
from tests.labelling.shop import BOOTS

pytestmark = pytest.mark.slow
PASSWORD = "correct horse battery"


def _work(place: str, who: str, done: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    """A process of its own, with connections of its own: takes and answers until nothing is left."""
    said = []
    with Store(place) as store:
        while True:
            with store.write() as connection:
                item = queue.take(connection, who, now())
                found = queue.item_of(connection, item) if item is not None else None
            if found is None:
                break
            with store.write() as connection:
                request = f"{who}-{found.id}"
                answer = Answer(found.product_id, "exclusive", "yes", who, request, found.id, BOOTS)
                said.append(give(connection, answer, now()).labels[0])
    done.put(said)


def test_processes_share_a_queue(place: str) -> None:
    with Store(place) as store:
        shop.fill(store, shop.batch(120))
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    people = [context.Process(target=_work, args=(place, f"w{i}", done)) for i in range(6)]
    for one in people:
        one.start()
    acknowledged = [label for _ in people for label in done.get(timeout=120)]
    for one in people:
        one.join()
    with Store(place) as store, store.read() as connection:
        kept = list(rows.read(connection))
    assert sorted(row.id for row in kept) == sorted(acknowledged)
    assert Counter(row.product_id for row in kept) == {f"p{i}": 1 for i in range(120)}


def _insist(action: Callable[[], Any], up: threading.Event, failed: Callable[[], None]) -> Any:
    """As the page does: the same request again until there is an answer, also while the store is busy."""
    while True:
        up.wait(60)
        try:
            answer = action()
            if isinstance(answer, httpx.Response):
                answer.raise_for_status()
            return answer
        except httpx.TransportError:
            failed()
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 503, error.response.text
            threading.Event().wait(0.1)


def test_twenty_annotators_and_a_killed_server(place: str) -> None:
    people, products = 20, 300
    with Store(place) as store:
        shop.fill(store, shop.batch(products))
        with store.write() as connection:
            accounts.put(connection, "boss", now(), password=PASSWORD, role="admin")
            tokens = {}
            for i in range(people):
                accounts.put(connection, f"w{i}", now(), password=PASSWORD)
                tokens[f"w{i}"] = accounts.sign_in(connection, f"w{i}", now(), "127.0.0.1")
    acknowledged: list[str] = []
    failures = Counter[str]()
    kill_now = threading.Event()
    up = threading.Event()
    up.set()
    lock = threading.Lock()

    def work(who: str, url: str) -> None:
        annotator = Annotator(url)
        annotator.http.cookies.set("shelfmark_session", tokens[who])

        def insist(action: Callable[[], Any]) -> Any:
            return _insist(action, up, lambda: failures.update([who]))

        insist(annotator.look)
        while (card := insist(annotator.next)) is not None:
            insist(partial(annotator.say, card, BOOTS))
            with lock:
                acknowledged.append(card["product"])
                if len(acknowledged) in (60, 160):
                    up.clear()
                    kill_now.set()

    with serving(place, "--accounts") as server, ThreadPoolExecutor(people) as pool:
        working = [pool.submit(work, f"w{i}", server.url) for i in range(people)]
        for _ in range(2):
            assert kill_now.wait(120)
            kill_now.clear()
            server.kill()
            server.start()
            up.set()
        for work_of_one in working:
            work_of_one.result(timeout=120)  # raises what went wrong for this annotator
    with Store(place) as store, store.read() as connection:
        kept = Counter(row.product_id for row in rows.read(connection))
    # What was acknowledged is there; nothing is there twice, and nothing was given to two people.
    assert Counter(acknowledged) == kept == {f"p{i}": 1 for i in range(products)}
    assert failures.total() > 0  # the server really was away
