"""Products of a request on a real server: the model's own answers, bad products, limits, and a newer model."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from pydantic import ValidationError

from api.app import Services
from api.classify.classifier import EXPLAINED_WORDS, Classifier, Held, Model, PushedModels
from api.classify.reading import ProductReader
from api.classify.requests import MAX_EXPLAINED, MAX_PRODUCTS, Classify
from api.current import Current
from api.refusals import Refused
from api.similarity.metrics import Metrics
from modules.errors import InputError
from modules.predictions.acceptance import ModelAcceptance
from modules.predictions.predict import predict_file
from modules.predictions.withdrawn import Withdrawn
from modules.settings.workflow import Workflow
from modules.similarity.identity import fingerprint
from tests.api.shops import serving_all
from tests.modules.training import catalogue
from tests.modules.training.shared import built, exported  # noqa: F401

FIELDS = ("id", "title", "brand", "price", "image_vector", "rating")
GUESSED = "Bags > Totes"


def push(folder: Path, version: int, model: str, labels: dict[str, list[int]] | None = None) -> Path:
    """A version as a run pushes it; ``labels``: how many the model says that it learnt from."""
    part = folder / f".{version}.part"
    shutil.copytree(model, part)
    catalogue.TREE.write(part / "taxonomy.json")
    if labels is not None:
        facts = json.loads((part / "shelfmark.json").read_text())
        facts |= {"training_labels": labels, "from_names": ["exclusive"]}
        (part / "shelfmark.json").write_text(json.dumps(facts))
    part.rename(folder / str(version))
    return folder / str(version)


def nothing_held(_version: str | None) -> ModelAcceptance | None:
    """As of a workflow that asks for no precision."""
    return None


def services(folder: Path, workflow: Workflow, load: bool = True, held: Held = nothing_held) -> Services:
    """What classifies by the newest version in the folder."""
    models: Current[Model] = Current(PushedModels(folder, held), "no model was blessed yet")
    if load:
        models.load()
    heads = [tuple for _ in workflow.sources]
    return Services(Metrics(), classifier=Classifier(models, ProductReader(workflow, heads)))


def record(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the catalogue as a feed has it."""
    return {name: row[name] for name in FIELDS if row.get(name) is not None}


def oracle(model: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The exported signature's own outputs, for examples that TensorFlow has encoded."""
    plain = [{**{name: row.get(name) for name in FIELDS}} for row in rows]
    examples = tf.constant([catalogue.raw_example(row) for row in plain])
    loaded = tf.saved_model.load(model)
    return {name: value.numpy() for name, value in loaded.signatures["serving_default"](examples=examples).items()}


@pytest.fixture(scope="module")
def server(exported: tuple[Workflow, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:  # noqa: F811
    folder = tmp_path_factory.mktemp("pushed")
    push(folder, 9, exported[1])
    push(folder, 10, exported[1])
    with serving_all(services(folder, exported[0])) as client:
        yield client


def test_answers_are_those_of_the_exported_model(server: httpx.Client, exported: tuple[Workflow, str]) -> None:  # noqa: F811
    rows = catalogue.products(40, 7)
    usable = [row for row in rows if set(record(row)) - {"id"}]
    answer = server.post("/v1/classify", json={"products": [record(row) for row in usable], "top": 2}).json()
    assert answer["version"] == "10" and len(answer["results"]) == len(usable) > 30
    outputs = oracle(exported[1], usable)
    for row, (result, product) in enumerate(zip(answer["results"], usable, strict=True)):
        assert result["id"] == product["id"] and set(result["objectives"]) == {"exclusive", "rule_based"}
        for name, said in result["objectives"].items():
            ids = [category.decode() for category in outputs[f"{name}/categories"][row]]
            scores = outputs[f"{name}/probabilities"][row]
            assert said["category_id"] == ids[0] and said["category"] == catalogue.TREE[ids[0]].text
            assert said["probability"] == pytest.approx(float(scores[0]), abs=1e-4)
            assert len(said["top"]) == 2 and said["guess"] is None and "decision" not in said
            for place, best in enumerate(said["top"]):
                assert best["probability"] == pytest.approx(float(scores[place]), abs=1e-4)
        exclusive, multiple = result["objectives"]["exclusive"], result["objectives"]["rule_based"]
        assert exclusive["categories"] == [exclusive["category_id"]] and exclusive["is_answer"]
        over = [
            outputs["rule_based/categories"][row][place].decode()
            for place, hit in enumerate(outputs["rule_based/assigned"][row])
            if hit
        ]
        assert set(over) <= set(multiple["categories"]) and multiple["is_answer"] == bool(over)


def test_one_product_is_answered_as_in_a_list(server: httpx.Client) -> None:
    product = {"id": " p 1 ", "title": "<b>Leather&nbsp;boot</b>", "brand": "brand1", "unknown": {"deep": [1]}}
    single = server.post("/v1/classify", json={"product": product}).json()
    several = server.post("/v1/classify", json={"products": [product]}).json()
    assert {"model": single.pop("model"), "version": single.pop("version")} == {
        name: several[name] for name in ("model", "version")
    }
    assert single == several["results"][0] and single["id"] == "p 1"
    cleaned = server.post("/v1/classify", json={"product": {**product, "title": "Leather boot"}}).json()
    assert cleaned["objectives"] == single["objectives"]


def test_a_request_may_ask_why(server: httpx.Client) -> None:
    boot, bare = {"id": "1", "title": "leather boot ankle"}, {"id": "2", "title": "boot"}
    asked = {"products": [boot, [1], bare], "why": True}
    first, bad, second = server.post("/v1/classify", json=asked).json()["results"]
    for result in (first, second):
        for said in result["objectives"].values():
            assert said["why"][0]["category_id"] == said["top"][0]["category_id"]
            assert 0 < len(said["why"][0]["parts"]) <= 10
    own = first["objectives"]["exclusive"]
    assert own["why"][0]["against"]["category_id"] == own["top"][1]["category_id"]
    assert own["why"][0]["parts"][0]["text"] in boot["title"].split() and first["untried_words"] == 0
    assert [part["text"] for part in second["objectives"]["exclusive"]["why"][0]["parts"]] == ["boot"]
    assert bad["error"]["reason"] == "not_a_product" and "untried_words" not in bad
    long = {"id": "3", "title": " ".join(f"w{number}" for number in range(70))}
    single = server.post("/v1/classify", json={"product": long, "why": True}).json()
    assert single["untried_words"] == 70 - EXPLAINED_WORDS
    assert "why" not in server.post("/v1/classify", json={"product": boot}).json()["objectives"]["exclusive"]
    refused = server.post("/v1/classify", json={"products": [boot] * (MAX_EXPLAINED + 1), "why": True})
    assert refused.status_code == 422 and f"{MAX_EXPLAINED} products" in refused.json()["error"]["expected"]


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


BAD: dict[str, tuple[Any, str, str]] = {
    "no object": ([1], "not_a_product", "an object"),
    "null": (None, "not_a_product", "an object"),
    "no id": ({"title": "boot"}, "no_id", "id"),
    "empty id": ({"id": " ", "title": "boot"}, "no_id", "id"),
    "long id": ({"id": "x" * 1001, "title": "boot"}, "wrong_type", "1000"),
    "nothing": ({"id": "a"}, "not_a_product", "none of the mapped"),
    "a vector of text": ({"id": "a", "title": "b", "image_vector": ["x"]}, "wrong_type", "vector"),
    "a short vector": ({"id": "a", "title": "b", "image_vector": [1, 2]}, "wrong_type", "4"),
    "an object for a text": ({"id": "a", "title": {"x": 1}}, "wrong_type", "title"),
    "deep": ({"id": "a", "title": "boot", "other": deep(600)}, "not_a_product", "deep"),
    "long": ({"id": "a", "title": "boot", "other": "x" * 1_100_000}, "too_long", "max_record_bytes"),
}


def test_a_bad_product_leaves_the_others_alone(server: httpx.Client) -> None:
    good = {"id": "good", "title": "leather boot"}
    products = [part for bad, _, _ in BAD.values() for part in (bad, good)]
    results = server.post("/v1/classify", json={"products": products}).json()["results"]
    alone = server.post("/v1/classify", json={"product": good}).json()["objectives"]
    for place, (name, (_, reason, word)) in enumerate(BAD.items()):
        error = results[2 * place]["error"]
        assert error["reason"] == reason and word in f"{error['what']} {error['expected']}", name
        assert error["where"] == f"products.{2 * place}"
        said = results[2 * place + 1]
        assert (
            said["id"] == "good"
            and said["objectives"]["exclusive"]["category_id"] == (alone["exclusive"]["category_id"])
        )


@pytest.mark.parametrize(
    ("status", "body", "word"),
    [
        (422, {}, "product or products"), (422, {"product": {"id": "a"}, "products": []}, "products"),
        (422, {"product": {"id": "a"}}, "none of the mapped"), (422, {"products": []}, "products"),
        (422, {"products": [{}] * (MAX_PRODUCTS + 1)}, "256"), (422, {"product": [1]}, "product"),
        (422, {"product": {"id": "a", "title": "b"}, "top": 0}, "top"), (422, {"products": [1], "colour": 1}, "colour"),
        (422, {"product": {"id": "a", "title": "b"}, "retailer": "acme"}, "one feed"), (422, [1], "object"),
        (400, "{", "JSON"), (400, '{"product": {"id": NaN}}', "finite"), (400, "[" * 100_000, "JSON"),
        (413, b" " * ((8 << 20) + 1), "bytes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(server: httpx.Client, status: int, body: Any, word: str) -> None:
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    answer = server.post("/v1/classify", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert list(error) == ["what", "where", "expected", "next"] and word in " ".join(error.values())
    assert server.post("/v1/classify", content="{}", headers={"content-type": "text/plain"}).status_code == 415


def test_of_several_feeds_one_is_named(exported: tuple[Workflow, str], tmp_path: Path) -> None:  # noqa: F811
    vector = {"image_vector": "vector"}
    feeds = [
        {"retailer": "acme", "files": ["a.jsonl"], "fields": {"id": "sku", "title": "name", **vector}},
        {"retailer": "bolt", "files": ["b.jsonl"], "fields": {"id": "sku", "title": "text.title", **vector}},
    ]
    workflow = exported[0].model_dump(mode="json") | {"feed": {}, "feeds": feeds}
    push(tmp_path, 1, exported[1])
    with serving_all(services(tmp_path, Workflow.model_validate(workflow))) as client:
        product = {"sku": "1", "name": "canvas tote", "text": {"title": "ankle boot"}}
        said = {
            name: client.post("/v1/classify", json={"product": product, "retailer": name}).json()
            for name in ("acme", "bolt")
        }
        for name, path in (("acme", "Bags > Totes"), ("bolt", "Shoes > Boots")):
            assert said[name]["id"] == f"{name}:1", said
            assert said[name]["objectives"]["exclusive"]["category"] == path
        for more in ({}, {"retailer": "acmee"}):
            refused = client.post("/v1/classify", json={"product": product, **more})
            assert refused.status_code == 422 and "acme, bolt" in refused.json()["error"]["expected"]


def test_a_category_known_by_its_name_alone_is_a_guess(exported: tuple[Workflow, str], tmp_path: Path) -> None:  # noqa: F811
    classes = [category.text for category in exported[0].objectives["exclusive"].classes(catalogue.TREE)]
    labels = [0 if name == GUESSED else 9 for name in classes]
    push(tmp_path, 1, exported[1], {"exclusive": labels, "rule_based": [9] * len(catalogue.TREE)})
    with serving_all(services(tmp_path, exported[0])) as client:
        products = [{"id": "1", "title": "canvas tote carry"}, {"id": "2", "title": "leather ankle boot"}]
        tote, boot = (
            result["objectives"]["exclusive"]
            for result in client.post("/v1/classify", json={"products": products}).json()["results"]
        )
    assert (tote["category_id"], tote["category"], tote["probability"]) == (None, None, None)
    assert not tote["is_answer"] and tote["categories"] == tote["top"] == []
    assert tote["guess"]["category"] == GUESSED and tote["guess"]["probability"] > 0.4
    assert boot["category"] == "Shoes > Boots" and boot["is_answer"] and boot["guess"] is None
    assert GUESSED not in [best["category"] for best in boot["top"]]


def table(
    workflow: Workflow, model: str, rows: list[dict[str, Any]], folder: Path, thresholds: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, Any]]:
    """Product to its row in the table that a run writes."""
    source, tree, made = (folder / name for name in ("examples.gz", "tree.json", "table.parquet"))
    with tf.io.TFRecordWriter(str(source), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for row in rows:
            writer.write(catalogue.raw_example({name: row.get(name) for name in FIELDS}))
    catalogue.TREE.write(tree)
    settings = workflow.model_dump_json()
    predict_file(str(source), str(made), model=model, taxonomy=str(tree), workflow=settings, accepted=thresholds)
    return {row["id"]: row for row in pq.read_table(made).to_pylist()}


def test_what_is_accepted_is_what_the_runs_table_accepts(exported: tuple[Workflow, str], tmp_path: Path) -> None:  # noqa: F811
    workflow, model = exported
    rows = [row for row in catalogue.products(60, 11) if set(record(row)) - {"id"}]
    classes = len(workflow.objectives["exclusive"].classes(catalogue.TREE))
    scores = np.sort(oracle(model, rows)["exclusive/probabilities"][:, 0].astype(float))
    between = float(scores[len(rows) // 2 - 1 : len(rows) // 2 + 1].mean())
    # One class has no threshold, so that nothing of it is accepted.
    thresholds = {"exclusive": [between] * (classes - 1) + [float("inf")]}
    pushed = push(tmp_path, 1, model)
    held = [ModelAcceptance("a", fingerprint(pushed), thresholds)]

    def decisions(client: httpx.Client) -> dict[str, str]:
        answer = client.post("/v1/classify", json={"products": [record(row) for row in rows]}).json()
        assert answer["version"] == "1" and all(
            "decision" not in r["objectives"]["rule_based"] for r in answer["results"]
        )
        return {result["id"]: result["objectives"]["exclusive"]["decision"] for result in answer["results"]}

    served = services(tmp_path, workflow, held=lambda version: held[-1] if held[-1].version != version else None)
    assert served.classifier is not None
    with serving_all(served) as client:
        said = decisions(client)
        wanted = table(workflow, model, rows, tmp_path, thresholds)
        assert said == {name: "accept" if row["exclusive/accepted"] else "review" for name, row in wanted.items()}
        assert 5 < list(said.values()).count("accept") < len(rows) - 5
        assert not served.classifier.models.load()
        # Other thresholds are taken without another push; of a model that they are not of, nothing is accepted.
        held.append(ModelAcceptance("b", fingerprint(pushed), {"exclusive": [0.0] * classes}))
        assert served.classifier.models.load() and set(decisions(client).values()) == {"accept"}
        # What an audit has taken back is for review: a category, and the products that come from a retailer.
        first = exported[0].objectives["exclusive"].classes(catalogue.TREE)[0].id
        taken = Withdrawn({"exclusive": frozenset({first})}, {})
        held.append(ModelAcceptance("w", fingerprint(pushed), {"exclusive": [0.0] * classes}, taken))
        assert served.classifier.models.load()
        by_category = {name: row["exclusive/category_id"] for name, row in wanted.items()}
        assert decisions(client) == {n: "review" if c == first else "accept" for n, c in by_category.items()}
        assert first in by_category.values()
        taken = Withdrawn({}, {"exclusive": frozenset({""})})
        held.append(ModelAcceptance("v", fingerprint(pushed), {"exclusive": [0.0] * classes}, taken))
        assert served.classifier.models.load() and set(decisions(client).values()) == {"review"}
        held.append(ModelAcceptance("c", "another", {"exclusive": [0.0] * classes}))
        assert served.classifier.models.load() and set(decisions(client).values()) == {"review"}
        assert client.get("/readyz").json()["model"] == "1"
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
        assert "accept" in json.dumps(schemas["Classified"]["properties"]["decision"])


def test_before_a_model_is_blessed_nothing_is_answered(exported: tuple[Workflow, str], tmp_path: Path) -> None:  # noqa: F811
    served = services(tmp_path, exported[0], load=False)
    assert served.classifier is not None
    models = served.classifier.models
    body = {"product": {"id": "1", "title": "canvas tote"}}
    with serving_all(served) as client:
        with pytest.raises(InputError, match="no model was blessed yet"):
            models.load()
        refused = client.post("/v1/classify", json=body)
        assert refused.status_code == 503 and refused.json()["error"]["what"] == "no model was blessed yet"
        assert client.get("/readyz").status_code == 503
        push(tmp_path, 1, exported[1], {"exclusive": [0] * 4, "rule_based": [0] * 6})
        with pytest.raises(InputError, match="a label to learn from"):
            models.load()
        (push(tmp_path, 2, exported[1]) / "shelfmark.json").unlink()
        with pytest.raises(InputError, match="with its facts"):
            models.load()
        push(tmp_path, 3, exported[1])
        assert models.load() and client.post("/v1/classify", json=body).json()["version"] == "3"
        assert client.get("/readyz").json() == {"ready": True, "model": "3"}


def test_a_newer_model_takes_the_place_without_a_failed_request(
    exported: tuple[Workflow, str], tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    push(tmp_path, 1, exported[1])
    served = services(tmp_path, exported[0])
    body = {"products": [{"id": str(i), "title": "canvas tote"} for i in range(8)]}
    statuses: list[int] = []
    seen: set[str] = set()
    newest = threading.Event()

    # The server itself looks for the new version, as it does when it is started.
    with serving_all(served, poll=0.05) as client:
        url = str(client.base_url)

        def ask() -> None:
            with httpx.Client(base_url=url, timeout=30.0) as own:
                while not newest.is_set() and len(statuses) < 20_000:
                    answer = own.post("/v1/classify", json=body)
                    statuses.append(answer.status_code)
                    seen.add(answer.json()["version"])
                    if answer.json()["version"] == "3":
                        newest.set()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        # What is broken is passed over; the one after it is taken.
        (push(tmp_path, 2, exported[1]) / "taxonomy.json").write_text("{")
        folder = push(tmp_path, 3, exported[1])
        for thread in threads:
            thread.join(60)
        assert newest.is_set() and set(statuses) == {200} and seen <= {"1", "3"}
        assert client.post("/v1/classify", json=body).json()["model"] == fingerprint(folder)


def test_unknown_keys_are_one_short_mistake() -> None:
    known = {"product": {"id": "1", "title": "boot"}}
    for unknown in ({f"k{i}": 1 for i in range(10_000)}, {"k" * 1_000_000: 1}):
        with pytest.raises(ValidationError) as raised:
            Classify.model_validate({**known, **unknown})
        assert raised.value.error_count() == 1
        refused = Refused.invalid(raised.value)
        assert "product, products, retailer, top" in refused.expected
        assert len(refused.what) + len(refused.where) + len(refused.expected) < 500


def test_a_compressed_body_is_refused_and_not_unpacked(server: httpx.Client) -> None:
    body = gzip.compress(b'{"product": {"id": "1", "title": "boot"}}')
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    refused = server.post("/v1/classify", content=body, headers=headers)
    assert refused.status_code == 415 and refused.json()["error"]["where"] == "header content-encoding"
