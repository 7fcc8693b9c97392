"""The endpoint on a real server: right answers, restrictions, refusals, reload."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from api.bodies import MAX_BODY
from api.gate import Access
from api.similarity.engine import Limits
from api.similarity.requests import MAX_DIMENSION, MAX_QUERIES, Similar
from api.similarity.sources import FolderSource
from api.tokens import Client, Clients
from modules.similarity.catalogue import Catalogue, SimilarityQuery
from modules.similarity.changes import unit
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import ScannSettings
from tests.api.shops import DIMENSION, items, serving, vector, write

NAMES = ["what", "where", "expected", "next"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = write(tmp_path_factory.mktemp("index") / "1", methods=("embedding", "embedding_text"))
    with serving(FolderSource(folder.parent)) as (found, _):
        yield found


def oracle(query: np.ndarray, k: int, allowed: Any = None, seed: int = 0) -> list[str]:
    """Ids by a plain sort."""
    shop = items(200, seed)
    scores = shop.vectors.astype(np.float64) @ query
    order = [i for i in np.argsort(-scores, kind="stable") if allowed is None or allowed(i)]
    return [f"p{i}" for i in order[:k]]


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["neighbours"]]


def test_vector_and_id_equal_a_plain_sort(client: httpx.Client) -> None:
    query = vector(3)
    answer = client.post("/v1/similar", json={"query": {"vector": query}, "k": 7})
    assert ids(answer) == oracle(unit(np.array([query]))[0], 7)
    own = items(200).vectors[5]
    assert ids(client.get("/v1/similar/p5", params={"k": 9})) == [n for n in oracle(own, 10) if n != "p5"]
    by_text = client.get("/v1/similar/p5", params={"k": 9, "by": "text"})
    assert ids(by_text) == [n for n in oracle(items(200, 1).vectors[5], 10, seed=1) if n != "p5"]
    first = client.get("/v1/similar/p5", params={"k": 1}).json()["neighbours"][0]
    row = int(first["id"][1:])
    assert first["title"] == f"product number {row}" and first["retailer"] == ("acme", "bolt")[row % 2]
    assert first["category"] == ("Shoes > Boots", "Shoes > Sandals", "Bags > Totes")[row % 3]
    assert first["price"] == (float(row) if row % 5 else None)


def test_restrictions(client: httpx.Client) -> None:
    query = unit(np.array([vector(4)]))[0]
    within = {"category": ["Shoes"], "retailer": ["bolt"], "price_from": 20, "price_to": 150}
    answer = client.post("/v1/similar", json={"query": {"vector": vector(4)}, "k": 40, "within": within})
    wanted = oracle(query, 40, lambda i: i % 3 < 2 and i % 2 == 1 and i % 5 and 20 <= i <= 150)
    assert ids(answer) == wanted and 0 < len(wanted) < 40
    params = {"category": "Shoes", "retailer": "bolt", "price_from": "20", "price_to": "150", "k": "40"}
    through_path = ids(client.get("/v1/similar/p7", params=params))
    assert set(through_path) == set(wanted) - {"p7"}


def test_a_parameter_that_there_is_not_is_refused(client: httpx.Client) -> None:
    for name in ("categroy", "K", "within", "x" * 5000):
        answer = client.get("/v1/similar/p7", params={"k": 3, name: "Bags"})
        assert answer.status_code == 422 and name[:40] in answer.text and "price_from" in answer.text
        assert len(answer.text) < 1000


def test_many_queries_and_more_than_there_are(client: httpx.Client) -> None:
    body = {"queries": [{"id": f"p{i}"} for i in range(1, 31)], "k": 5}
    answer = client.post("/v1/similar", json=body).json()
    single = [ids(client.get(f"/v1/similar/p{i}", params={"k": 5})) for i in range(1, 31)]
    assert [[n["id"] for n in one["neighbours"]] for one in answer["results"]] == single
    assert len(ids(client.get("/v1/similar/p3", params={"k": 1000}))) == 198  # p0 has no embedding


def hostile() -> dict[str, tuple[int, Any, str]]:
    """Name to (status, body, a word of the refusal)."""
    query = {"id": "p1"}
    return {
        "huge k": (422, {"query": query, "k": 10**9}, "1000"),
        "k 0": (422, {"query": query, "k": 0}, "k"),
        "k as text": (422, {"query": query, "k": "5"}, "k"),
        "k beyond 64 bits": (422, '{"query": {"id": "p1"}, "k": 123456789012345678901234567890}', "k"),
        "k true": (422, {"query": query, "k": True}, "k"),
        "NaN": (400, '{"query": {"vector": [NaN, 1]}}', "finite"),
        "infinite": (400, '{"query": {"vector": [Infinity]}}', "finite"),
        "beyond doubles": (400, '{"query": {"vector": [1e999]}}', "JSON"),
        "beyond floats": (422, {"query": {"vector": [1e300] * DIMENSION}}, "vector"),
        "dimension": (422, {"query": {"vector": [1.0] * (DIMENSION + 1)}}, "16 numbers"),
        "zeros": (422, {"query": {"vector": [0.0] * DIMENSION}}, "zeros"),
        "no numbers": (422, {"query": {"vector": []}}, "vector"),
        "texts for numbers": (422, {"query": {"vector": ["1"] * DIMENSION}}, "vector"),
        "unknown id": (404, {"query": {"id": "p19O"}}, "did you mean 'p19"),
        "no embedding": (422, {"query": {"id": "p0"}}, "none"),
        "unknown category": (422, {"query": query, "within": {"category": ["Shoes > Boot"]}}, "Shoes > Boots"),
        "unknown retailer": (422, {"query": query, "within": {"retailer": ["acmee"]}}, "acme"),
        "unknown method": (422, {"query": query, "by": "smell"}, "joint, text"),
        "unknown key": (422, {"query": query, "colour": 1}, "colour"),
        "prices": (422, {"query": query, "within": {"price_from": 5, "price_to": 4}}, "price_to"),
        "nothing": (422, {}, "query"),
        "both": (422, {"query": query, "queries": [query]}, "query"),
        "none of a query": (422, {"query": {}}, "id, vector"),
        "two of a query": (422, {"query": {"id": "p1", "text": "boots"}}, "id and text"),
        "too many": (422, {"queries": [query] * 257}, "256"),
        "no JSON": (400, "{", "JSON"),
        "not UTF-8": (400, b'{"query": {"id": "\xff"}}', "JSON"),
        "half a surrogate": (400, '{"query": {"id": "\\ud800"}}', "JSON"),
        "deep": (400, "[" * 100_000, "JSON"),
        "list": (422, [1], "object"),
        "text too long": (422, {"query": {"text": "a" * 2001}}, "2000"),
        "no model": (422, {"query": {"text": "boots"}}, "model"),
        "no model for an image": (422, {"query": {"image": "AAAA"}}, "model"),
        "body": (413, b" " * (MAX_BODY + 1), "bytes"),
    }  # fmt: skip


@pytest.mark.parametrize("case", hostile())
def test_hostile_bodies_get_a_clear_refusal(client: httpx.Client, case: str) -> None:
    status, body, word = hostile()[case]
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body)
    answer = client.post("/v1/similar", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert list(error) == NAMES and word in " ".join(error.values())
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"queries": [{"vector": ["x"] * MAX_DIMENSION}] * MAX_QUERIES},
        {"query": {"vector": [None] * MAX_DIMENSION}},
        {"query": {"id": "p1"}, "within": {"category": [1] * 100}},
    ],
)
def test_of_a_long_list_of_mistakes_only_the_first_is_kept(body: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Similar.model_validate(body)
    assert refused.value.error_count() == 1 and "0" in map(str, refused.value.errors()[0]["loc"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/similar/p1?k=1e9", 422), ("/v1/similar/p1?k=", 422), ("/v1/similar/p1?k=1&k=x", 422),
        ("/v1/similar/p1?price_from=nan", 422), ("/v1/similar/p1?price_from=-1", 422),
        ("/v1/similar/p1?category=", 422), ("/v1/similar/%00", 404), ("/v1/similar/..%2f..%2fetc", 404),
        ("/v1/similar/%ff", 404), ("/v1/similar/" + "a" * 2000, 422), ("/v1/nothing", 404), ("/", 404),
        ("/v1/reload", 405),
    ],
)  # fmt: skip
def test_hostile_paths(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status and list(answer.json()["error"]) == NAMES


def test_forms_of_other_sites_are_refused(client: httpx.Client) -> None:
    for path in ("/v1/similar", "/v1/reload"):
        answer = client.post(path, content=b"{}", headers={"content-type": "text/plain"})
        assert answer.status_code == 415


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["query", "queries", "k", "by", "within", "id", "vector", "text", "image", "category", "x"])
nearly = st.recursive(
    json_values | st.sampled_from(["p1", "p2", "joint", "title", "Shoes"]) | st.just([1.0] * DIMENSION),
    lambda inner: st.dictionaries(keys, inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=12,
)


@given(body=nearly)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_answered_or_refused(client: httpx.Client, body: Any) -> None:
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    answer = client.post("/v1/similar", content=content, headers={"content-type": "application/json"})
    assert 200 <= answer.status_code < 300 or 400 <= answer.status_code < 500, answer.text
    assert ("error" in answer.json()) == (answer.status_code >= 400)


def test_openapi_health_and_metrics(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert {"/v1/similar", "/v1/similar/{id}", "/v1/reload", "/healthz", "/readyz", "/metrics"} <= set(
        document["paths"]
    )
    body = document["paths"]["/v1/similar"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"query", "queries", "k", "by", "within"} == set(body["properties"])
    assert client.get("/healthz").json() == {"ok": True}
    assert client.get("/readyz").json()["methods"] == ["joint", "text"]
    client.get("/v1/similar/p1")
    lines = client.get("/metrics").text.splitlines()
    assert 'shelfmark_index_products{by="joint"} 200.0' in lines
    served = [line for line in lines if line.startswith('shelfmark_requests_total{route="/v1/similar/{id:path}"')]
    assert served and any('status="200"' in line for line in served)
    assert not any("p1" in line for line in lines)


def test_metrics_say_when_a_rebuild_pays(tmp_path: Path) -> None:
    index = ScannIndex.build(items(200), ScannSettings())
    for version, gone in (("1", 30), ("2", 50)):
        write(tmp_path / version)
        index.remove([f"p{i}" for i in range(gone)])
        index.save(tmp_path / version / "image")
    with serving(FolderSource(tmp_path / "1")) as (client, _):
        lines = client.get("/metrics").text.splitlines()
        assert 'shelfmark_index_rebuild_pays{by="image"} 0.0' in lines
    with serving(FolderSource(tmp_path)) as (client, _):  # more than a fifth of the products went
        lines = client.get("/metrics").text.splitlines()
        assert 'shelfmark_index_rebuild_pays{by="image"} 1.0' in lines
        assert 'shelfmark_index_rebuild_pays{by="joint"} 0.0' in lines


def test_a_token_is_needed_where_there_is_one(tmp_path: Path) -> None:
    with serving(FolderSource(write(tmp_path / "i")), Access(Clients([Client.of("s" * 20)]))) as (client, _):
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic " + "s" * 20}):
            answer = client.get("/v1/similar/p1", headers=headers)
            assert answer.status_code == 401 and list(answer.json()["error"]) == NAMES
            assert client.get("/metrics", headers=headers).status_code == 401
        assert client.get("/v1/similar/p1", headers={"authorization": "Bearer " + "s" * 20}).status_code == 200


def test_foreign_names_of_loopback_are_refused(tmp_path: Path) -> None:
    with serving(FolderSource(write(tmp_path / "i")), Access(None, 1)) as (client, _):
        assert client.get("/v1/similar/p1", headers={"host": "evil.example"}).status_code == 421
        assert client.get("/v1/similar/p1", headers={"host": "localhost:1"}).status_code == 200


async def _many(url: str, bodies: list[dict[str, Any]], clients: int) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=60.0, limits=limits) as client:
        return list(await asyncio.gather(*(client.post("/v1/similar", json=body) for body in bodies)))


@pytest.mark.parametrize("wait", [0.0, 0.005])
def test_batched_answers_are_those_of_one_at_a_time(tmp_path: Path, wait: float) -> None:
    folder = write(tmp_path / "i")
    catalogue = Catalogue.open(folder)
    bodies: list[dict[str, Any]] = [
        {"query": {"vector": vector(i)}, "k": 3 + i % 4, "within": {"category": ["Shoes"]} if i % 3 else {}}
        for i in range(80)
    ]
    with serving(FolderSource(folder), limits=Limits(max_batch=16, max_wait=wait)) as (client, engine):
        answers = asyncio.run(_many(str(client.base_url), bodies, 20))
        count = engine.metrics.batch.collect()[0].samples
        calls = next(one.value for one in count if one.name.endswith("_count"))
    assert calls < 80
    shoes = catalogue.restriction(["Shoes"])
    for i, answer in enumerate(answers):
        query = SimilarityQuery(unit(np.array([vector(i)]))[0])
        alone = catalogue.search("joint", [query], 3 + i % 4, shoes if i % 3 else None)[0]
        assert ids(answer) == [one.product.id for one in alone]
        scores = [one["score"] for one in answer.json()["neighbours"]]
        np.testing.assert_allclose(scores, [one.score for one in alone], atol=2e-6)


def test_reload_loses_no_request_and_lets_go_of_the_old(tmp_path: Path) -> None:
    write(tmp_path / "1", 200)
    with serving(FolderSource(tmp_path)) as (client, engine):
        old = weakref.ref(engine.current().catalogue)
        url = str(client.base_url)

        async def clients() -> tuple[list[httpx.Response], list[httpx.Response]]:
            began, done = asyncio.Event(), asyncio.Event()

            async def ask(http: httpx.AsyncClient) -> list[httpx.Response]:
                found = []
                while not done.is_set():
                    found.append(await http.get("/v1/similar/p7", params={"k": 5}))
                    began.set()
                found.append(await http.get("/v1/similar/p7", params={"k": 5}))
                return found

            async with httpx.AsyncClient(base_url=url, timeout=60.0) as http:
                asking = [asyncio.create_task(ask(http)) for _ in range(8)]
                reloads = []
                await began.wait()
                for version in range(2, 5):
                    write(tmp_path / str(version), 200, seed=version)
                    reloads.append(await http.post("/v1/reload", json={}, headers={"content-type": "application/json"}))
                done.set()
                return [one for some in await asyncio.gather(*asking) for one in some], reloads

        answers, reloads = asyncio.run(clients())
        assert {one.status_code for one in answers} == {200}
        assert [one.json()["changed"] for one in reloads] == [True] * 3
        wanted = {
            str(seed): [n for n in oracle(items(200, seed).vectors[7], 6, seed=seed) if n != "p7"][:5]
            for seed in (2, 3, 4)
        }
        wanted["1"] = [n for n in oracle(items(200, 0).vectors[7], 6) if n != "p7"][:5]
        seen = set()
        for one in answers:
            version = one.json()["index"]["version"].partition("-")[0]
            assert ids(one) == wanted[version]
            seen.add(version)
        assert {"1", "4"} <= seen
        # A last request takes the place of what the threads remember.
        client.get("/v1/similar/p7")
        gc.collect()
        assert old() is None


def test_a_broken_new_index_is_refused_and_the_old_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "1")
    with serving(FolderSource(tmp_path)) as (client, _):
        before = ids(client.get("/v1/similar/p7"))
        new = write(tmp_path / "2", seed=9)
        with (new / "joint" / "vectors.npy").open("r+b") as file:
            file.seek(500)
            file.write(b"broken")
        answer = client.post("/v1/reload", json={})
        assert answer.status_code == 409 and answer.json()["error"]["next"] == "the server's log says why"
        # Where the server keeps its files is its operator's to know.
        assert str(new) in caplog.text and "/" not in answer.text
        assert ids(client.get("/v1/similar/p7")) == before
        shutil.rmtree(new)
        assert client.post("/v1/reload", json={}).json()["changed"] is False
        write(tmp_path / "3", seed=9)
        assert client.post("/v1/reload", json={}).json()["changed"] is True
        assert ids(client.get("/v1/similar/p7")) != before
        assert 'shelfmark_reloads_total{outcome="failed"} 1.0' in client.get("/metrics").text
