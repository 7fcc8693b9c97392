"""Feeds out of search engines: the requests as documented, what goes wrong on the way, and a real OpenSearch."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.errors import InputError
from modules.feeds.mapping import Mapper
from modules.feeds.readers import read_records
from modules.feeds.sources import asking, documents
from modules.feeds.sources.base import Away
from modules.feeds.sources.elasticsearch import ElasticsearchSource
from modules.feeds.sources.opensearch import OpenSearchSource
from modules.feeds.sources.search import SearchSource
from modules.feeds.sources.snapshots import last_snapshot, take_snapshot
from modules.progress import listening
from modules.settings.feed import FeedSettings
from pipeline.settings_errors import validate_data
from tests.modules.feeds.sources.search_engine import Asked, Documents, Engine, Failure, engine, error
from tests.opensearch_server import SearchServer, opensearch_server

KINDS: dict[str, type[SearchSource]] = {"opensearch": OpenSearchSource, "elasticsearch": ElasticsearchSource}
SECRET = "wood-7c1d0a9e55"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSE", 0.01)


def products(count: int) -> Documents:
    return {f"p{number:05}": {"title": f"boot {number}", "rank": number} for number in range(count)}


@pytest.fixture(params=sorted(KINDS))
def shop(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine of each kind, with 25 products."""
    with engine(request.param, products(25)) as running:
        yield running


def source(shop: Engine, **more: Any) -> SearchSource:
    given = {"url": shop.url, "index": "products", "allow_private": True, "timeout": 5.0, "deadline": 20.0, "page": 10}
    return KINDS[shop.kind](**{**given, **more})


def rows_of(folder: Path) -> list[dict[str, Any]]:
    snapshot = last_snapshot(folder)
    assert snapshot is not None and snapshot.file.endswith(".jsonl.gz")
    with gzip.open(folder / snapshot.file, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def expected(given: Documents) -> list[dict[str, Any]]:
    return [{"_id": name, **fields} for name, fields in given.items()]


def test_all_documents_of_one_state_come_page_by_page(shop: Engine, tmp_path: Path) -> None:
    query = {"range": {"rank": {"gte": 0}}}
    taken = take_snapshot(source(shop, query=query), tmp_path)
    assert rows_of(tmp_path) == expected(shop.documents)
    first, second, third, last = shop.pages
    order = {"opensearch": "_id", "elasticsearch": "_shard_doc"}[shop.kind]
    for page in shop.pages:
        assert page["size"] == 10 and page["sort"] == [{order: "asc"}] and page["query"] == query
    assert [page["track_total_hits"] for page in shop.pages] == [True, False, False, False]
    assert "search_after" not in first
    after = [page["search_after"] for page in (second, third, last)]
    assert after == ([["p00009"], ["p00019"], ["p00024"]] if order == "_id" else [[9], [19], [24]])
    assert shop.points == {} and shop.asked[-1].method == "DELETE"
    assert all(
        asked.parameters["allow_partial_search_results"] == ["false"]
        for asked in shop.asked
        if asked.path == "/_search"
    )
    again = take_snapshot(source(shop, query=query), tmp_path)
    assert not again.is_new and again.snapshot.file == taken.snapshot.file


def test_fields_are_flattened_as_those_of_json_lines(tmp_path: Path) -> None:
    given = {"p1": {"title": "Grüne Lampe ☃", "offer": {"price": 1.299}, "pictures": ["a.jpg", "b.jpg"]}}
    with engine("elasticsearch", given) as shop:
        snapshot = take_snapshot(source(shop), tmp_path).snapshot
    settings = FeedSettings.model_validate({"fields": {"id": "_id", "price": "offer.price", "image": "pictures"}})
    (record,) = read_records(str(tmp_path / snapshot.file), "jsonl", settings)
    product = Mapper(settings).product(record.data)  # type: ignore[union-attr]
    assert product.id == "p1" and product.text["title"] == "Grüne Lampe ☃"
    assert product.numbers["price"] == pytest.approx(1.299)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_engine_is_asked_again(shop: Engine, tmp_path: Path, status: int) -> None:
    # The point's opening, the second page and the last one, each once.
    failing = {0: Failure(status), 3: Failure(status, headers={"Retry-After": "0"}), 6: Failure(status, b"<html>")}
    shop.script = lambda number, asked: failing.get(number)
    take_snapshot(source(shop), tmp_path)
    assert rows_of(tmp_path) == expected(shop.documents) and shop.points == {}
    assert len(shop.asked) == 1 + 4 + 1 + len(failing)


def test_an_engine_that_stays_busy_gives_nothing(shop: Engine, tmp_path: Path) -> None:
    before = take_snapshot(source(shop), tmp_path).snapshot
    shop.documents["p99999"] = {"title": "new", "rank": 99}
    asked_before = len(shop.asked)
    busy = error(503, "circuit_breaking_exception", "too much")
    shop.script = lambda number, asked: busy if asked.body and "search_after" in asked.body else None
    with pytest.raises(Away, match=r"status 503: too much, 5 times in a row"):
        take_snapshot(source(shop), tmp_path)
    assert last_snapshot(tmp_path) == before and shop.points == {}
    assert len(shop.asked) - asked_before == 1 + 1 + asking.ATTEMPTS + 1


def test_a_point_in_time_that_has_ended_is_taken_anew(shop: Engine, tmp_path: Path) -> None:
    def forget(number: int, asked: Asked) -> None:
        if number == 3:
            shop.points.clear()
            shop.documents["p00100"] = {"title": "new", "rank": 100}

    shop.script = forget
    take_snapshot(source(shop), tmp_path)
    # Of the second state alone, and each document once.
    assert rows_of(tmp_path) == expected(shop.documents) and len(shop.documents) == 26 and shop.points == {}


def test_points_in_time_that_end_too_soon_give_nothing(shop: Engine, tmp_path: Path) -> None:
    def forget(number: int, asked: Asked) -> None:
        if asked.body and "search_after" in asked.body:
            shop.points.clear()

    shop.script = forget
    with pytest.raises(Away, match="its point in time has ended, 5 times in a row"):
        take_snapshot(source(shop), tmp_path)
    assert last_snapshot(tmp_path) is None


def test_an_order_that_is_not_unique_is_noticed(shop: Engine, tmp_path: Path) -> None:
    for number, document in enumerate(shop.documents.values()):
        document["rank"] = number // 4
    with pytest.raises(Away, match=r"gives 21 of 25 documents") as caught:
        take_snapshot(source(shop, order="rank"), tmp_path)
    assert "source.order" in caught.value.hint
    assert last_snapshot(tmp_path) is None and shop.points == {}


def test_a_part_of_the_shards_is_not_enough(shop: Engine, tmp_path: Path) -> None:
    partial = Failure(
        200, b'{"timed_out": false, "_shards": {"failed": 1}, "hits": {"total": {"value": 0}, "hits": []}}'
    )
    shop.script = lambda number, asked: partial if asked.path == "/_search" else None
    with pytest.raises(Away, match="a part of its shards, 5 times in a row"):
        take_snapshot(source(shop), tmp_path)
    assert shop.points == {}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"it works", b"[]", b"null", b"{}", b'{"timed_out": false}',
        b'{"timed_out": false, "_shards": {"failed": 0}, "hits": {"total": 3, "hits": []}}',
        b'{"timed_out": false, "_shards": {"failed": 0}, "hits": {"total": {"value": 1}, "hits": [{"_id": "a"}]}}',
        b'{"timed_out": false, "_shards": {"failed": 0}, "hits": {"total": {"value": 1}, "hits": [[]]}}',
    ],
)  # fmt: skip
def test_a_server_that_is_no_engine(shop: Engine, tmp_path: Path, content: bytes) -> None:
    shop.script = lambda number, asked: Failure(200, content) if asked.path == "/_search" else None
    with pytest.raises(Away, match="answers as no (OpenSearch|Elasticsearch) does"):
        take_snapshot(source(shop), tmp_path)
    shop.script = lambda number, asked: Failure(200, content)
    with pytest.raises(Away, match="answers as no (OpenSearch|Elasticsearch) does"):
        take_snapshot(source(shop), tmp_path)


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "user and password"), (403, "read the index"), (404, "source.index"), (400, "source.query")],
)
def test_what_a_status_means(shop: Engine, tmp_path: Path, status: int, hint: str) -> None:
    shop.script = lambda number, asked: error(status, "some_exception", "no\nsuch thing") if number == 1 else None
    with pytest.raises(Away, match=rf"status {status}: no.+such thing") as caught:
        take_snapshot(source(shop), tmp_path)
    assert hint in caught.value.hint and "\n" not in caught.value.why
    assert len(shop.asked) == 3 and shop.points == {}


def test_limits_are_kept_and_the_point_is_closed(shop: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, document in enumerate(shop.documents.values()):
        document["title"] = "".join(chr(0x4E00 + (number * 7919 + place * 104729) % 20000) for place in range(400))
    with pytest.raises(Away, match="gives more than 1,024 bytes"):
        take_snapshot(source(shop, max_bytes=1024), tmp_path)
    assert shop.points == {}
    monkeypatch.setattr(documents, "_MOST", 2000)
    with pytest.raises(Away, match="a page of more than 2,000 bytes") as caught:
        take_snapshot(source(shop), tmp_path)
    assert "source.page" in caught.value.hint and shop.points == {} and last_snapshot(tmp_path) is None


def test_a_point_is_closed_after_the_deadline_too(shop: Engine, tmp_path: Path) -> None:
    shop.script = lambda number, asked: Failure(503, headers={"Retry-After": "100"}) if number == 2 else None
    with pytest.raises(Away, match="status 503"):
        take_snapshot(source(shop, deadline=3.0), tmp_path)
    assert shop.points == {}


def test_user_and_password_come_from_the_environment_alone(
    shop: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_SEARCH", shop.url.replace("://", f"://shop:{SECRET}@"))
    hidden = source(shop, url="env:SHOP_SEARCH")
    assert hidden.title() == f"{shop.url}/…, index products"
    take_snapshot(hidden, tmp_path)
    sent = "Basic " + base64.b64encode(f"shop:{SECRET}".encode()).decode()
    assert {asked.authorization for asked in shop.asked} == {sent}
    shop.script = lambda number, asked: Failure(401)
    with pytest.raises(Away) as caught:
        take_snapshot(hidden, tmp_path)
    assert SECRET not in f"{caught.value.why}{caught.value.hint}"
    for path in tmp_path.iterdir():
        assert SECRET.encode() not in path.read_bytes()
    monkeypatch.setenv("SHOP_SEARCH", f"http://shop:{SECRET}@search.example:9200")
    with pytest.raises(InputError, match="would travel unencrypted") as refused:
        take_snapshot(hidden, tmp_path)
    assert SECRET not in str(refused.value)


def test_hosts_are_under_the_rules_of_other_sources(shop: Engine, tmp_path: Path) -> None:
    with pytest.raises(Away, match="not public"):
        take_snapshot(source(shop, allow_private=False), tmp_path)
    shop.script = lambda number, asked: Failure(302, headers={"Location": "http://169.254.169.254/"})
    with pytest.raises(Away, match="status 302"):
        take_snapshot(source(shop), tmp_path)
    assert shop.asked[-1].path.startswith("/products/") and len(shop.asked) == 1


def test_a_path_before_the_index_is_kept(shop: Engine, tmp_path: Path) -> None:
    shop.script = lambda number, asked: Failure(404)
    with pytest.raises(Away, match="status 404"):
        take_snapshot(source(shop, url=f"{shop.url}/search/", index="a b".replace(" ", "-") + ",logs-*"), tmp_path)
    assert shop.asked[0].path.startswith("/search/a-b,logs-*/")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": f"https://shop:{SECRET}@search.example"}, "feed.source.url = 'https://***'"),
        ({"url": "search.example:9200"}, "an address like https://host:9200"),
        ({"index": "a/_doc"}, "feed.source.index"),
        ({"page": 0}, "feed.source.page"),
        ({"query": "title:x"}, "feed.source.query"),
        ({"token": "env:X"}, "feed.source.token"),
    ],
)
def test_settings_that_cannot_be_used(given: dict[str, Any], words: str) -> None:
    settings = {"kind": "opensearch", "url": "https://search.example:9200", "index": "products", **given}
    _, problems = validate_data({"name": "x", "feed": {"source": settings}}, lambda key: ("w.yaml", 3))
    said = "; ".join(map(str, problems))
    assert words in said and SECRET not in said


def test_memory_is_that_of_a_page(tmp_path: Path) -> None:
    many = {f"p{number:06}": {"title": f"{number} " * 900} for number in range(6000)}
    size = sum(len(json.dumps(document)) for document in many.values())
    with engine("elasticsearch", many) as shop:
        # The engine lies in the same process: what it holds is not counted, what it sends of a page is.
        tracemalloc.start()
        take_snapshot(source(shop, page=20, deadline=120.0), tmp_path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(rows_of(tmp_path)) == 6000 and size > 24_000_000 and peak < size / 4


@pytest.fixture(scope="module")
def server() -> Iterator[SearchServer]:
    with opensearch_server() as started:
        yield started


def fill(server: SearchServer, index: str, count: int) -> Documents:
    made = products(count)
    server.ask(
        index, "PUT", {"settings": {"number_of_shards": 3}, "mappings": {"properties": {"sku": {"type": "keyword"}}}}
    )
    for name, document in made.items():
        document["sku"] = name[::-1]
    lines = [part for name, document in made.items() for part in ({"index": {"_id": name}}, document)]
    server.bulk(index, lines)
    return made


def real(server: SearchServer, index: str, **more: Any) -> OpenSearchSource:
    return OpenSearchSource(**{"url": f"http://127.0.0.1:{server.port}", "index": index, "allow_private": True, **more})


def open_points(server: SearchServer) -> list[Any]:
    try:
        return list(server.ask("_search/point_in_time/_all")["pits"])
    except urllib.error.HTTPError as failure:
        assert failure.code == 404
        return []


@pytest.mark.opensearch
def test_a_real_index_at_one_point_in_time(server: SearchServer, tmp_path: Path) -> None:
    made = fill(server, "shop", 2500)
    changed: list[int] = []

    def change(done: int, total: int, text: str) -> None:
        if not changed:
            server.ask("shop/_delete_by_query?refresh=true", "POST", {"query": {"range": {"rank": {"gte": 2000}}}})
            server.ask("shop/_doc/new?refresh=true", "PUT", {"title": "new", "rank": 1})
        changed.append(done)

    with listening(change):
        take_snapshot(real(server, "shop", page=400), tmp_path)
    assert rows_of(tmp_path) == expected(made) and len(changed) > 6
    assert open_points(server) == []
    query = {"range": {"rank": {"gte": 1990}}}
    taken = take_snapshot(real(server, "shop", page=3, query=query, order="sku"), tmp_path)
    kept = [{"_id": f"p{number:05}", **made[f"p{number:05}"]} for number in range(1990, 2000)]
    assert rows_of(tmp_path) == sorted(kept, key=lambda row: row["sku"])
    assert (
        take_snapshot(real(server, "shop", page=7, query=query, order="sku"), tmp_path).snapshot.file
        == taken.snapshot.file
    )


@pytest.mark.opensearch
def test_what_a_real_engine_says_is_told(server: SearchServer, tmp_path: Path) -> None:
    fill(server, "told", 20)
    with pytest.raises(Away, match=r"status 404: no such index \[nothing\]"):
        take_snapshot(real(server, "nothing"), tmp_path)
    with pytest.raises(Away, match=r"status 400: No mapping found for \[_shard_doc\]") as caught:
        take_snapshot(real(server, "told", order="_shard_doc"), tmp_path)
    assert "source.order" in caught.value.hint
    with pytest.raises(Away, match="status 400"):
        take_snapshot(real(server, "told", query={"no_such_query": {}}), tmp_path)
    assert open_points(server) == [] and last_snapshot(tmp_path) is None


@pytest.mark.opensearch
def test_a_real_point_in_time_that_is_closed_meanwhile(server: SearchServer, tmp_path: Path) -> None:
    made = fill(server, "ended", 60)
    closed: list[Any] = []

    def close(done: int, total: int, text: str) -> None:
        if not closed:
            closed.append(server.ask("_search/point_in_time/_all", "DELETE"))

    with listening(close):
        take_snapshot(real(server, "ended", page=20), tmp_path)
    assert rows_of(tmp_path) == expected(made) and closed[0]["pits"]
