"""Texts and images embedded by a run's SavedModel, and the SavedModel of exact search; both really loaded."""

from __future__ import annotations

import base64
import json
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from api.similarity.engine import Engine
from api.similarity.exact_model import export_exact
from api.similarity.images import MAX_BYTES
from api.similarity.metrics import Metrics
from api.similarity.requests import MAX_IMAGES
from api.similarity.sources import FolderSource
from modules.errors import InputError
from modules.similarity.catalogue import Catalogue
from modules.similarity.changes import unit
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.identity import fingerprint
from modules.similarity.items import Embedding, Items, below
from modules.similarity.protocol import Queries
from shelfmark import cli
from tests.api.models import DIMENSIONS, FEATURE, image_vector, picture, save_model, text_vector
from tests.api.shops import DIMENSION, TREE, items, serving

COUNT = 300
METHODS = {"embedding": "joint", "embedding_image": "image", "embedding_text": "text", FEATURE: "by_meaning"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "1")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model."""
    return save_model(tmp_path_factory.mktemp("second") / "1", shift=0.25)


@pytest.fixture(scope="module")
def folder(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The indexes of what the model made of some products."""
    made = tmp_path_factory.mktemp("index") / "1"
    rng = np.random.default_rng(0)
    for column, name in METHODS.items():
        vectors = unit(np.abs(rng.normal(size=(COUNT, DIMENSIONS[column]))))
        ids = pa.array([f"p{i}" for i in range(COUNT)])
        some = Items.of(ids, vectors, embedding=Embedding(fingerprint(model), column))
        ExactIndex.build(some, ExactSettings()).save(made / name)
    return made


@pytest.fixture(scope="module")
def client(folder: Path, model: Path) -> Iterator[httpx.Client]:
    with serving(FolderSource(folder, model.parent)) as (found, _):
        yield found


def nearest(folder: Path, by: str, vector: np.ndarray, k: int = 5) -> list[str]:
    """Ids by a plain sort."""
    vectors = np.load(folder / by / "vectors.npy").astype(np.float64)
    return [f"p{i}" for i in np.argsort(-vectors @ vector, kind="stable")[:k]]


def ask(client: httpx.Client, query: dict[str, Any], by: str, k: int = 5) -> httpx.Response:
    return client.post("/v1/similar", json={"query": query, "by": by, "k": k})


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["neighbours"]]


def test_texts_and_images_are_embedded_by_the_model(client: httpx.Client, folder: Path) -> None:
    for by in ("text", "by_meaning"):
        assert ids(ask(client, {"text": "a cable"}, by)) == nearest(folder, by, text_vector("a cable"))
    colour = (200, 40, 90)
    for form in ("PNG", "JPEG", "WEBP", "GIF"):
        found = ask(client, {"image": b64(picture(colour, form))}, "image", k=1)
        assert ids(found) == nearest(folder, "image", image_vector(colour), 1)
    joined = unit(np.concatenate([image_vector(colour), text_vector("bed")])[None])[0]
    both = {"text": "bed", "image": b64(picture(colour))}
    assert ids(ask(client, both, "joint")) == nearest(folder, "joint", joined)
    # What the model knows one side of has the other side's place empty.
    padded = np.concatenate([np.zeros(3), text_vector("bed")])
    assert ids(ask(client, {"text": "bed"}, "joint")) == nearest(folder, "joint", padded)


def test_many_kinds_of_queries_in_one_request(client: httpx.Client, folder: Path) -> None:
    texts = ["bad", "cafe", "deed", "gimmick"]
    queries: list[dict[str, Any]] = [{"text": text} for text in texts]
    queries.insert(2, {"id": "p3"})
    queries.append({"vector": [1.0] * DIMENSIONS["embedding_text"]})
    answer = client.post("/v1/similar", json={"queries": queries, "by": "text", "k": 4}).json()
    found = [[one["id"] for one in result["neighbours"]] for result in answer["results"]]
    own = np.load(folder / "text" / "vectors.npy")[3]
    wanted = [nearest(folder, "text", text_vector(text), 4) for text in texts]
    wanted.insert(2, [one for one in nearest(folder, "text", own) if one != "p3"][:4])
    assert found == [*wanted, nearest(folder, "text", np.ones(DIMENSIONS["embedding_text"]), 4)]


def test_images_of_a_request_are_few(client: httpx.Client) -> None:
    query = {"image": b64(picture((9, 9, 9)))}
    assert client.post("/v1/similar", json={"queries": [query] * MAX_IMAGES, "by": "image"}).status_code == 200
    answer = client.post("/v1/similar", json={"queries": [query] * (MAX_IMAGES + 1), "by": "image"})
    assert answer.status_code == 422 and "16 images" in answer.json()["error"]["expected"]


def bomb() -> bytes:
    """A PNG of a few hundred bytes whose header promises 100,000 x 100,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("query", "by", "word"),
    [
        ({"image": "no base64!"}, "image", "base64"),
        ({"image": b64(b"<svg onload=alert(1)></svg>")}, "image", "JPEG, PNG"),
        ({"image": b64(picture((1, 2, 3))[:60])}, "image", "damaged"),
        ({"image": b64(bomb())}, "image", "too many pixels"),
        ({"image": b64(picture((255, 0, 0), size=(6000, 6000)))}, "image", "too many pixels"),
        ({"image": b64(bytes(MAX_BYTES + 1))}, "image", "too many bytes"),
        ({"image": b64(picture((0, 0, 0)))}, "image", "sees nothing"),
        ({"text": "zzz"}, "text", "sees nothing"),
        ({"text": "boots"}, "image", "knows nothing of texts"),
        ({"image": b64(picture((9, 9, 9)))}, "text", "knows nothing of images"),
        ({"image": b64(picture((9, 9, 9)))}, "by_meaning", "knows nothing of images"),
        ({"text": ""}, "text", "at least 1"),
    ],
)
def test_hostile_texts_and_images_are_refused(client: httpx.Client, query: Any, by: str, word: str) -> None:
    answer = ask(client, query, by)
    assert answer.status_code == 422, answer.text
    assert word in " ".join(answer.json()["error"].values())


def test_another_model_than_the_index_own_is_refused(folder: Path, second: Path, tmp_path: Path) -> None:
    with serving(FolderSource(folder, second)) as (client, _):
        answer = ask(client, {"text": "bed"}, "text")
        assert answer.status_code == 422 and "not the index' own" in answer.json()["error"]["expected"]
        assert len(ids(client.get("/v1/similar/p1"))) == 10
    with pytest.raises(InputError, match="the folder of a SavedModel"):
        FolderSource(folder, tmp_path / "none")(None)


def test_a_new_model_comes_with_its_index(model: Path, second: Path, tmp_path: Path) -> None:
    """Both are looked at in one go: an index is never asked with another model's vectors."""
    indexes, models = tmp_path / "i", tmp_path / "m"
    vectors = unit(np.abs(np.random.default_rng(5).normal(size=(COUNT, DIMENSIONS["embedding_text"]))))
    names = [f"p{i}" for i in range(COUNT)]

    def publish(version: str, made_by: Path) -> None:
        shutil.copytree(made_by, models / version)
        some = Items.of(names, vectors, embedding=Embedding(fingerprint(made_by), "embedding_text"))
        ExactIndex.build(some, ExactSettings()).save(indexes / version / "text")

    publish("1", model)
    with serving(FolderSource(indexes, models)) as (client, _):
        assert ids(ask(client, {"text": "bed"}, "text")) == nearest(indexes / "1", "text", text_vector("bed"))
        publish("2", second)
        assert client.post("/v1/reload", json={}).json()["changed"] is True
        shifted = unit(np.array([["bed".count(chr(97 + i)) + 0.25 for i in range(13)]]))[0]
        assert ids(ask(client, {"text": "bed"}, "text")) == nearest(indexes / "2", "text", shifted)


def test_the_model_of_each_index_is_loaded_before_that_is_served(model: Path, second: Path, tmp_path: Path) -> None:
    def publish(version: str, made_by: Path) -> None:
        shutil.copytree(made_by, tmp_path / version / "model")
        some = Items.of(["p0"], unit(np.ones((1, 13))), embedding=Embedding(fingerprint(made_by), "embedding_text"))
        ExactIndex.build(some, ExactSettings()).save(tmp_path / version / "text")

    engine = Engine(FolderSource(tmp_path), Metrics(), preload=True)
    for version, made_by in (("1", model), ("2", second)):
        publish(version, made_by)
        assert engine.load()
        served = engine.current()
        assert served.embedder is not None and served.embedder._loaded is not None
        assert served.catalogue.version.startswith(version)
    publish("3", model)
    (tmp_path / "3" / "model" / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(InputError, match="a SavedModel that TensorFlow can load"):
        engine.load()
    assert engine.current() is served
    engine.close()


def test_a_model_is_not_read_before_it_is_needed(folder: Path, model: Path) -> None:
    opened = FolderSource(folder, model)(None)
    assert opened is not None and opened.embedder is not None and "model" not in vars(opened.embedder)
    engine = Engine(FolderSource(folder, model), Metrics())
    engine.load()
    embedder = engine.current().embedder
    # A server's requests do not wait for the fingerprint.
    assert embedder is not None and "model" in vars(embedder) and embedder._loaded is None
    engine.close()


@pytest.fixture(scope="module")
def shop() -> ExactIndex:
    """An index from which products came and went."""
    index = ExactIndex.build(items(COUNT), ExactSettings())
    index.remove(["p5", "p17", "p299"])
    newer = items(COUNT + 40, seed=3).take(np.arange(COUNT, COUNT + 40))
    index.add(newer)
    return index


@pytest.mark.parametrize("session", [False, True], ids=["loaded by TensorFlow 2", "by a session, as TF Serving does"])
def test_exact_model_equals_the_exact_index(shop: ExactIndex, tmp_path: Path, session: bool) -> None:
    import tensorflow as tf

    output = tmp_path / "model" / "1"
    # Many shards, the last one not full.
    assert (
        export_exact(Catalogue({"joint": shop}, TREE), "joint", output, shard_bytes=4 * DIMENSION * 37) == len(shop) - 1
    )
    assert len(list((output / "variables").glob("*.data*"))) >= 1
    queries = np.random.default_rng(1).normal(size=(21, DIMENSION)).astype(np.float32) * 7
    shoes = below(TREE, ["Shoes"])
    cases = [
        (10, None),
        (1, None),
        (1000, None),
        (10, shoes),
        (200, below(TREE, ["Bags > Totes"])),
        (3, frozenset({99})),
    ]

    def expected(k: int, nodes: Any) -> tuple[list[list[str]], np.ndarray]:
        mask = None
        if nodes is not None:
            mask = np.isin(shop.rows.table.column("category").to_numpy(), sorted(nodes))
        found = shop.search(Queries(unit(queries)), k, mask)
        names = found.ids(shop.ids).fill_null("").to_pylist()
        return [names[i * k : (i + 1) * k] for i in range(len(queries))], found.scores

    def check(search: Any) -> None:
        for k, nodes in cases:
            found_ids, scores = search(queries, k, np.array(sorted(nodes or ()), np.int32))
            wanted_ids, wanted = expected(k, nodes)
            assert [[name.decode() for name in row] for row in found_ids] == wanted_ids
            np.testing.assert_allclose(scores, wanted, atol=1e-5)

    if not session:
        signature = tf.saved_model.load(str(output)).signatures["serving_default"]

        def by_function(vectors: Any, k: int, categories: Any) -> Any:
            found = signature(
                embeddings=tf.constant(vectors), k=tf.constant(k, tf.int32), categories=tf.constant(categories)
            )
            return found["ids"].numpy(), found["scores"].numpy()

        check(by_function)
        return
    v1 = tf.compat.v1
    with v1.Session(graph=tf.Graph()) as running:
        names = v1.saved_model.loader.load(running, ["serve"], str(output)).signature_def["serving_default"]

        def by_session(vectors: Any, k: int, categories: Any) -> Any:
            given = {"embeddings": vectors, "k": k, "categories": categories}
            outputs = [names.outputs[name].name for name in ("ids", "scores")]
            return running.run(outputs, {names.inputs[name].name: value for name, value in given.items()})

        check(by_session)


def test_exact_model_is_not_written_over_anything(shop: ExactIndex, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps({}))
    with pytest.raises(InputError, match="a new or empty folder"):
        export_exact(Catalogue({"joint": shop}), "joint", tmp_path)


def test_the_command_line_asks_the_model_and_exports(
    folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tensorflow as tf

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            cli.main([str(argument) for argument in ("similar", *arguments, "--index", folder)])
        return int(left.value.code or 0), *capsys.readouterr()

    (tmp_path / "a.png").write_bytes(picture((200, 40, 90)))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    embeds = ("--model", model, "--json", "--k", 4)
    for what, by, vector in (
        (tmp_path / "a.png", "image", image_vector((200, 40, 90))),
        ("a cable", "text", text_vector("a cable")),
    ):
        code, out, err = run(what, "--by", by, *embeds)
        assert code == 0, err
        assert [one["id"] for one in json.loads(out)["neighbours"]] == nearest(folder, by, vector, 4)
    code, _, err = run(tmp_path / "broken.jpg", "--by", "image", *embeds)
    assert code == 2 and "broken.jpg" in err and "no JPEG, PNG" in err
    code, out, _ = run("export", "--by", "text", "--output", tmp_path / "exact" / "1")
    assert code == 0 and f"{COUNT} products" in out
    search = tf.saved_model.load(str(tmp_path / "exact" / "1")).signatures["serving_default"]
    asked = text_vector("a cable")[None]
    found = search(embeddings=tf.constant(asked), k=tf.constant(4), categories=tf.constant([], tf.int32))
    assert [name.decode() for name in found["ids"].numpy()[0]] == nearest(folder, "text", asked[0], 4)
    code, _, err = run("export", "--output", tmp_path / "exact" / "1")
    assert code == 2 and "a new or empty folder" in err
