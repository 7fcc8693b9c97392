"""Webhooks: a shop's server that is busy, hostile, particular, or breaks off; time is the test's own."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from modules.errors import InputError
from modules.predictions.documents import Document
from publishing.log import PublicationLog
from publishing.pace import FIRST, LONGEST, MOST, Closed, Pace
from publishing.publish import ATTEMPTS, MOST_REFUSED, Stopped
from publishing.targets.base import Busy, Options, Unusable
from publishing.targets.webhook import WebhookTarget
from tests.publishing.shop import (
    SECRET,
    Clock,
    answers,
    expected,
    predict,
    publish_to,
    receiver,
    rounded,
    webhook,
)


def script(*answers_: Any) -> Any:
    """Answers in their order, the last one again and again."""
    return lambda number, batch: answers_[min(number, len(answers_) - 1)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ((429, {"Retry-After": "0"}), []),
        ((429, {"Retry-After": "7"}), [7.0]),
        ((503, {"Retry-After": "99999"}), [MOST]),
        ((429, {"Retry-After": "soon"}), [FIRST]),
        (500, [FIRST]),
        (502, [FIRST]),
        ("torn", [FIRST]),
    ],
)
def test_what_may_pass_is_tried_again(folder: Path, tmp_path: Path, said: Any, waits: list[float]) -> None:
    rows, clock = predict(folder, {"train": 20}), Clock()
    with receiver(script(said, 200)) as shop:
        counts = publish_to(webhook(shop), folder, tmp_path / "log", clock=clock)
    assert counts.sent == 20 and clock.waits == waits
    assert answers(shop.state) == rounded(expected(rows))
    assert shop.requests[0] == shop.requests[1] and sum(map(len, shop.requests)) == 27
    keys = [headers["idempotency-key"] for headers in shop.headers]
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_pauses_grow_and_end(folder: Path, tmp_path: Path) -> None:
    predict(folder, {"train": 20})
    clock = Clock()
    with receiver(script(200, 503)) as shop, pytest.raises(Stopped, match="status 503, 8 times in a row") as caught:
        publish_to(webhook(shop), folder, tmp_path / "log", clock=clock)
    assert "goes on" in caught.value.hint
    assert clock.waits == [min(LONGEST, FIRST * 2**i) for i in range(ATTEMPTS - 1)]
    # What was acknowledged stays so, and the next publication begins behind it.
    with receiver() as shop:
        counts = publish_to(webhook(shop), folder, tmp_path / "log")
        assert (counts.same, counts.sent) == (7, 13)
        assert shop.requests == [[f"train-{i}" for i in range(7, 14)], [f"train-{i}" for i in range(14, 20)]]


@pytest.mark.parametrize("parallel", [1, 4])
def test_refused_products_become_dead_letters_and_no_others(folder: Path, tmp_path: Path, parallel: int) -> None:
    rows, bad = predict(folder, {"train": 40, "test": 11}), {"train-3", "train-4", "train-39", "test-10"}

    def particular(number: int, batch: list[dict[str, Any]]) -> int:
        return 400 if bad & {document["id"] for document in batch} else 200

    with receiver(particular) as shop:
        counts = publish_to(webhook(shop), folder, tmp_path / "log", parallel=parallel)
        assert (counts.sent, counts.refused) == (47, 4)
        good = [row for row in rows if row["id"] not in bad]
        assert answers(shop.state) == rounded(expected(good))
        with PublicationLog(tmp_path / "log", "x") as log:
            letters = {letter.id: letter for letter in log.dead_letters()}
        assert set(letters) == bad
        # The shop's answer repeats the secret.
        assert {(letter.status, letter.reason) for letter in letters.values()} == {(400, "no: ***")}
        # They are tried again, alone, and are taken when the shop has changed its mind.
        shop.requests.clear()
        shop.script = script(200)
        assert publish_to(webhook(shop), folder, tmp_path / "log", parallel=parallel).sent == 4
        assert answers(shop.state) == rounded(expected(rows)) and sum(map(len, shop.requests)) == 4
    with PublicationLog(tmp_path / "log", "x") as log:
        assert not list(log.dead_letters())


def test_a_batch_that_is_too_large_is_sent_in_parts(folder: Path, tmp_path: Path) -> None:
    predict(folder, {"train": 40})
    with receiver(lambda number, batch: 413 if len(batch) > 3 else 200) as shop:
        counts = publish_to(webhook(shop), folder, tmp_path / "log", batch=16)
    assert (counts.sent, counts.refused, len(shop.state)) == (40, 0, 40)


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "are the address and the secret right"), (404, "are the address"), (302, "redirects are not followed")],
)
def test_what_every_batch_would_meet_stops_at_once(folder: Path, tmp_path: Path, status: int, words: str) -> None:
    predict(folder, {"train": 40})
    with receiver(script(200, (status, {"Location": "http://127.0.0.1:1/"}))) as shop:
        with pytest.raises(Stopped) as caught:
            publish_to(webhook(shop), folder, tmp_path / "log")
        assert words in caught.value.hint and f"status {status}" in caught.value.why and len(shop.requests) == 2
    assert len(shop.state) == 7


def test_a_shop_that_refuses_everything_is_not_asked_for_ever(folder: Path, tmp_path: Path) -> None:
    predict(folder, {"train": MOST_REFUSED + 300})
    with receiver(script(422)) as shop, pytest.raises(Stopped, match="refused 1,000 products") as caught:
        publish_to(webhook(shop), folder, tmp_path / "log", batch=100)
    assert "another form" in caught.value.hint and not shop.state


def test_products_that_are_gone_are_not_removed_by_a_feed_that_is_not_whole(folder: Path, tmp_path: Path) -> None:
    predict(folder, {"train": 300})
    with receiver() as shop:
        publish_to(webhook(shop), folder, tmp_path / "log")
        rows = predict(folder, {"train": 40}, seed=1)
        with pytest.raises(InputError, match="260 products of 300 are gone .* add --many-gone"):
            publish_to(webhook(shop), folder, tmp_path / "log")
        assert len(shop.state) == 300 and answers(shop.state).items() >= rounded(expected(rows)).items()
        assert publish_to(webhook(shop), folder, tmp_path / "log", many_gone=True).removed == 260
    assert answers(shop.state) == rounded(expected(rows))


def test_a_rate_is_kept_by_all_threads_together() -> None:
    clock = Clock()
    pace = clock.pace(rate=10.0)
    for _ in range(5):
        pace.take(20)
    assert clock.waits == [2.0] * 4
    clock.now += 100.0
    # What was not used is not saved up.
    pace.take(20)
    pace.take(20)
    assert clock.waits == [2.0] * 5


def test_nobody_sends_while_the_target_rests() -> None:
    clock = Clock()
    pace = clock.pace(rate=10.0)
    pace.take(5)
    pace.rest(0, 30.0)
    pace.rest(0, 1.0)
    pace.take(5)
    assert sum(clock.waits) == 30.0
    pace.close()
    with pytest.raises(Closed):
        pace.take(1)


def test_closing_ends_a_wait() -> None:
    pace, ended = Pace(), threading.Event()
    pace.rest(0, MOST)

    def waits() -> None:
        with pytest.raises(Closed):
            pace.take(1)
        ended.set()

    thread = threading.Thread(target=waits)
    thread.start()
    pace.close()
    thread.join()
    assert ended.is_set()


def test_a_batch_is_signed_and_says_whose_it_is(folder: Path, tmp_path: Path) -> None:
    predict(folder, {"train": 3})
    with receiver() as shop:
        publish_to(webhook(shop), folder, tmp_path / "log")
    (headers,) = shop.headers
    assert re.fullmatch(r"v1=[0-9a-f]{64}", headers["shelfmark-signature"])
    assert re.fullmatch(r"\d{10,}", headers["shelfmark-timestamp"]) and headers["content-type"] == "application/json"
    assert SECRET not in str(headers)


@pytest.mark.parametrize(
    "ips", [["127.0.0.1"], ["93.184.216.34", "10.0.0.7"], ["169.254.169.254"], ["::ffff:10.0.0.1"]]
)
def test_a_name_that_leads_inside_is_refused(ips: list[str]) -> None:
    options = Options(secret=SECRET.encode())
    target = WebhookTarget("https://hooks.example.com/x", options, False, resolve=lambda host, port: ips)
    with pytest.raises(Unusable, match=r"https://hooks.example.com/… leads to an address that is not public") as caught:
        target.start(1)
    assert "--allow-private" in caught.value.hint


def test_a_name_without_an_address_may_have_one_later() -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise OSError

    target = WebhookTarget("https://hooks.example.com", Options(secret=SECRET.encode()), False, resolve=nowhere)
    with pytest.raises(Busy, match="its name has no address"):
        target.start(1)


def test_a_server_that_nobody_listens_at(folder: Path, tmp_path: Path) -> None:
    predict(folder, {"train": 3})
    with receiver() as shop:
        target = webhook(shop)
    with pytest.raises(Stopped, match="cannot be reached, 8 times"):
        publish_to(target, folder, tmp_path / "log")


def test_an_endless_answer_is_not_read(folder: Path, tmp_path: Path) -> None:
    predict(folder, {"train": 3})
    with receiver(script((200, {"Content-Length": str(1 << 40)}), 200)) as shop:
        target = webhook(shop, timeout=1.0)
        document = Document("a", {"id": "a", "version": 1}, b"d")
        with pytest.raises(Busy, match="did not answer in time"):
            target.send([document])
        target.finish()
