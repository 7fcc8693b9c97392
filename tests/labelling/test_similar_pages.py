"""Neighbours by each method, and verdicts, on a real server: right, restricted, and safe from what is asked."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import uvicorn

from labelling.store import Store, accounts
from labelling.store.database import now
from labelling.store.triplets import add_questions, read_triplets
from labelling.web.app import create_app
from labelling.web.context import Settings
from labelling.web.indexes import Indexes
from modules.errors import InputError, Problem
from modules.similarity.catalogue import Catalogue
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.items import Embedding, Items
from modules.similarity_quality.triplets import Question, Triplet
from tests.api.shops import Server
from tests.labelling import alike
from tests.labelling.serving import Annotator, hidden, serving
from tests.modules.reporting.sample import HOSTILE
from tests.servers import free_port


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alike")
    alike.write_indexes(folder / "index", special=list(HOSTILE))
    with Store(str(folder / "labels.sqlite")) as store:
        alike.fill(store, folder / "images", questions=5, special=list(HOSTILE))
    return folder


@pytest.fixture(scope="module")
def who(place: Path) -> Iterator[Annotator]:
    options = ("--annotator", "ann", "--index", str(place / "index"))
    with serving(str(place / "labels.sqlite"), *options) as server:
        found = Annotator(server.url)
        found.look()
        yield found


def shelves(html: str) -> dict[str, list[str]]:
    """Method to the ids that the page shows, in their order."""
    parts = re.split(r'<section class="shelf"[^>]*data-method="([^"]+)"', html)[1:]
    return {
        method: [unescape(id) for id in re.findall(r'class="near-by" data-id="([^"]*)"', part)]
        for method, part in zip(parts[::2], parts[1::2], strict=True)
    }


def verdicts(place: Path) -> list[Triplet]:
    with Store(str(place / "labels.sqlite")) as store, store.read() as connection:
        return list(read_triplets(connection))


def vote(who: Annotator, **fields: str) -> Any:
    headers = {"accept": "application/json", "x-csrf-token": who.csrf}
    return who.http.post("/judge", data=fields, headers=headers)


def test_each_method_shows_its_own_neighbours(who: Annotator, place: Path) -> None:
    found = shelves(who.http.get("/similar", params={"id": "p31", "k": 6}).text)
    assert list(found) == ["joint", "image", "text", "title"]
    for method in alike.METHODS:
        assert found[method] == alike.nearest(place / "index", method, "p31", 6)
    # Words in common, as the titles are made: the engine's order is its own.
    words = {f"p{i}": set(title.split()) for i, title in enumerate(alike.titles(list(HOSTILE)))}
    assert len(found["title"]) == 6 and all((words[one] & words["p31"]) - {"no."} for one in found["title"])


def test_only_in_a_category_and_below(who: Annotator, place: Path) -> None:
    for category in ("Shoes", "Shoes > Boots"):
        html = who.http.get("/similar", params={"id": "p31", "k": 50, "category": category}).text
        found = shelves(html)
        assert found["image"] == alike.nearest(place / "index", "image", "p31", 50, category)
        assert 15 < len(found["image"]) < 50
        assert "category=Shoes" in re.findall(r'class="walk" href="([^"]+)"', html)[0]
    offered = who.http.get("/similar/categories", params={"q": "boot"}).json()
    assert offered[0] == "Shoes > Boots"


def test_what_is_not_there_is_said(who: Annotator) -> None:
    wrong = who.http.get("/similar", params={"id": "p31", "category": "<b>Shoes > Boot"})
    assert wrong.status_code == 422 and "did you mean" in wrong.text and "<b>Shoes" not in wrong.text
    assert shelves(wrong.text) == {}
    assert who.http.get("/similar", params={"id": "\0"}).status_code == 400
    for name in ("nobody", "../../etc/passwd", "p31' OR 1=1 --", "a" * 5000):
        assert who.http.get("/similar", params={"id": name}).status_code == 404
    # A depth that is not offered is the usual one.
    for k in ("1000000000", "-1", "NaN", ""):
        assert len(shelves(who.http.get("/similar", params={"id": "p31", "k": k}).text)["joint"]) == 10
    # A product without an embedding has no neighbours by it, but has a title.
    html = who.http.get("/similar", params={"id": "p0"}).text
    assert shelves(html)["joint"] == [] and "this one has none" in html


def test_finds_a_product_to_begin_with(who: Annotator) -> None:
    assert who.http.get("/similar", params={"q": "p31"}).headers["location"].startswith("/similar?id=p31")
    assert "no. 31" in who.http.get("/similar", params={"q": "NO. 31"}).text
    assert "No title has it" in who.http.get("/similar", params={"q": "<i>nothing"}).text
    assert len(re.findall(r'href="/similar\?id=p', who.http.get("/similar").text)) == 12


def test_hostile_titles_are_text(who: Annotator) -> None:
    for path in ("/similar?q=script", "/similar?id=p31&k=50", "/judge?query=p1&a=p2&b=p3", "/similar?id=p1"):
        html = who.http.get(path).text
        assert "<script>alert" not in html and "onerror=alert" not in re.sub(r'"[^"]*"|>[^<]*<', "", html)


def test_verdicts_are_kept_once_with_what_proposed_them(who: Annotator, place: Path) -> None:
    before = len(verdicts(place))
    three = {"query": "p31", "a": "p40", "b": "p41", "verdict": "b", "request": "r1"}
    answer = vote(who, **three, a_method="joint", b_method="title")
    assert answer.status_code == 200 and answer.json() == {"judged": before + 1}
    assert vote(who, **three).json() == {"judged": before + 1}
    last = verdicts(place)[-1]
    assert (last.query, last.a, last.b, last.verdict) == ("p31", "p40", "p41", "b")
    assert (last.annotator, last.methods) == ("ann", ("joint", "title"))
    # Judged again, it still is known what proposed them.
    (again,) = re.findall(r'id="back"[^>]*href="([^"]+)"', who.http.get("/judge").text)
    html = who.http.get(unescape(again)).text
    names = ("query", "a", "b", "a_method", "b_method")
    assert [hidden(html, name) for name in names] == ["p31", "p40", "p41", "joint", "title"]


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "A"}, {"verdict": ""}, {"a": "p31"}, {"b": "p40"}, {"a": "nobody"}, {"query": ""},
        {"query": "a" * 2000}, {"a_method": "x" * 2000, "b_method": "y"},
    ],
)  # fmt: skip
def test_what_is_no_verdict_is_refused(who: Annotator, place: Path, change: dict[str, str]) -> None:
    before = verdicts(place)
    answer = vote(who, **{"query": "p31", "a": "p40", "b": "p41", "verdict": "a", **change})
    assert answer.status_code == 400 and answer.json()["error"].startswith("not kept")
    assert verdicts(place) == before


def test_verdicts_of_other_sites_are_refused(who: Annotator, place: Path) -> None:
    before = verdicts(place)
    fields = {"query": "p31", "a": "p40", "b": "p41", "verdict": "a"}
    assert who.http.post("/judge", data=fields).status_code == 403
    headers = {"x-csrf-token": who.csrf, "origin": "https://evil.example"}
    assert who.http.post("/judge", data=fields, headers=headers).status_code == 403
    assert verdicts(place) == before


def test_questions_one_after_another_without_a_script(who: Annotator, place: Path) -> None:
    shown = []
    page = who.http.get("/judge").text
    passed_over = hidden(page, "query")
    page = who.http.get("/judge", params={"skip": 1}).text
    for verdict in ("a", "both", "neither", "b"):
        names = ("csrf", "query", "a", "b", "request", "a_method", "b_method", "skip")
        fields = {name: hidden(page, name) for name in names}
        shown.append((fields["query"], fields["a"], fields["b"], verdict, (fields["a_method"], fields["b_method"])))
        answer = who.http.post("/judge", data={**fields, "verdict": verdict})
        assert answer.status_code == 303 and answer.headers["location"] == "/judge?skip=1"
        page = who.http.get(answer.headers["location"]).text
    assert "Nothing left to judge" in page and passed_over not in {one[0] for one in shown}
    kept = [(one.query, one.a, one.b, one.verdict, one.methods) for one in verdicts(place)[-4:]]
    assert kept == shown
    # Nothing but a place on this server is gone to afterwards.
    fields = {"csrf": who.csrf, "query": "p1", "a": "p2", "b": "p3", "verdict": "a"}
    for to, place_ in (("https://evil.example/", "/judge"), ("//evil.example", "/judge"), ("/similar?id=p1",) * 2):
        answer = who.http.post("/judge", data={**fields, "to": to})
        assert answer.headers["location"] == place_


def test_any_number_of_questions_can_be_passed_over(tmp_path: Path) -> None:
    with Store(str(tmp_path / "labels.sqlite")) as store:
        alike.fill(store, tmp_path / "images")
        asked = [Question(f"p{i % 20}", f"p{20 + i // 20}", f"p{40 + i // 20}") for i in range(203)]
        with store.write() as connection:
            add_questions(connection, asked, now())
        with application(store, None) as someone:
            shown = {skip: someone.http.get("/judge", params={"skip": skip}).text for skip in (0, 201, 202, 203)}
    assert [hidden(shown[skip], "query") for skip in (0, 201, 202)] == ["p0", "p1", "p2"]
    assert 'href="/judge?skip=203"' in shown[202] and "you have passed over" in shown[203]


def test_the_pages_need_a_sign_in_and_no_index(tmp_path: Path) -> None:
    with Store(str(tmp_path / "labels.sqlite")) as store:
        alike.fill(store, tmp_path / "images", questions=1)
        with store.write() as connection:
            accounts.put(connection, "boss", now(), password="correct horse battery staple", role="admin")
    with serving(str(tmp_path / "labels.sqlite"), "--accounts", "--index", str(tmp_path / "none")) as server:
        who = Annotator(server.url)
        for path in ("/similar", "/judge", "/similar?id=p1"):
            assert who.http.get(path).headers["location"].startswith("/sign-in")
        who.http.headers["accept"] = "application/json"
        assert who.http.get("/similar/categories?q=a").status_code == 401
        assert who.http.post("/judge", data={}).status_code == 401
        who.sign_in("boss", "correct horse battery staple")
        assert "no index to look into" in who.http.get("/similar").text
        # Verdicts need products, no index.
        assert vote(who, query="p1", a="p2", b="p3", verdict="both").status_code == 200
        assert who.http.get("/judge").text.count('class="large"') == 3


@contextmanager
def application(store: Store, source: Any) -> Iterator[Annotator]:
    """The pages in this process, over any source of indexes; none is opened yet."""
    port = free_port()
    app = create_app(store, Settings("ann", port=port), source)
    server = Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive()
    try:
        who = Annotator(f"http://127.0.0.1:{port}")
        who.look()
        yield who
    finally:
        server.should_exit = True
        thread.join()


def test_an_index_is_opened_while_others_may_write(place: Path) -> None:
    found = Catalogue.open(place / "index")

    def source(_version: str | None) -> Catalogue:
        # Refused at once if the request that has the index opened is writing.
        with sqlite3.connect(place / "labels.sqlite", timeout=0.0) as other:
            other.execute("BEGIN IMMEDIATE")
        return found

    with Store(str(place / "labels.sqlite")) as store, application(store, source) as someone:
        assert vote(someone, query="p31", a="p40", b="p41", verdict="a").status_code == 200


def test_an_index_without_products_is_an_index(place: Path) -> None:
    nothing = Items.of(pa.array([], pa.string()), np.zeros((0, 4), np.float32), embedding=Embedding("m", "embedding"))
    empty = Catalogue({"joint": ExactIndex.build(nothing, ExactSettings())}, version="1")
    assert len(empty) == 0
    with Store(str(place / "labels.sqlite")) as store, application(store, lambda _version: empty) as someone:
        paths = ("/similar", "/similar?q=boots", "/similar?id=p31", "/judge")
        answers = {path: someone.http.get(path) for path in paths}
    assert [one.status_code for one in answers.values()] == [200, 200, 404, 200]
    assert "no product" in answers["/similar"].text and "No title has it" in answers["/similar?q=boots"].text


def test_a_newer_index_is_shown_and_a_broken_one_is_not(tmp_path: Path, clock: Callable[[], int]) -> None:
    first, second = (Catalogue.open(alike.write_indexes(tmp_path / str(i), seed=i)) for i in (1, 2))
    coming: list[Any] = [first, None, InputError(Problem("", "broken")), second]
    asked: list[str | None] = []

    def source(version: str | None) -> Catalogue | None:
        asked.append(version)
        found = coming.pop(0)
        if isinstance(found, InputError):
            raise found
        return found

    indexes = Indexes(source, every=0.0)
    assert [indexes.current() for _ in range(4)] == [first, first, first, second]
    assert asked == [None, "1", "1", "1"]
    with pytest.raises(InputError, match="without one"):
        Indexes().current()
    coming = [InputError(Problem("", "broken"))]
    with pytest.raises(InputError, match="broken"):
        Indexes(source).current()
