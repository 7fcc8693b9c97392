"""Models with a picture: towers joined, what is exported, what a product may lack, and the exact solver's part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from modules.models.build import build_model
from modules.models.towers import ModalityDropout
from modules.predictions.columns import EMBEDDING_IMAGE, EMBEDDING_TEXT
from modules.predictions.predict import predict_file
from modules.training.data import batches
from modules.training.design import design_matrix
from modules.training.image_columns import embedder, shown_alone
from modules.training.liblinear import fit_exact
from modules.training.run import input_sizes, train
from tests.modules.training.catalogue import TREE, raw_example
from tests.modules.training.shared import IMAGE_KINDS, Built, class_counts, task_of

TEXT = ("title", "brand", "price")
BOTH = (*TEXT, "picture")
WIDTHS = {"linear": (24, 12, 12), "lsa": (24, 12, 12), "deep": (16, 12, 12), "wide_deep": (16, 12, 12)}
"""Of the joint, the text and the image embedding."""
PICTURE: dict[str, Any] = {"title": None, "brand": None, "price": None}
EDGES = [{"image_bytes": b""}, PICTURE, {**PICTURE, "image_bytes": None}]
"""No picture; nothing but a picture; nothing at all."""


def exported_kind(built: Built, folder: str, features=BOTH, **changes) -> Any:
    settings = built.settings(features, **changes)
    train(settings, TREE, built.transform, [built.files["train"]], [built.files["eval"]], output=folder)
    return settings


@pytest.fixture(scope="module")
def trained(built: Built, tmp_path_factory):
    """Kind to (workflow, folder, outputs for the eval products), each made once."""
    known: dict[str, Any] = {}

    def of(kind: str, features: tuple[str, ...] = BOTH) -> Any:
        if (kind, features) not in known:
            folder = str(tmp_path_factory.mktemp(kind))
            settings = exported_kind(built, folder, features, **IMAGE_KINDS[kind])
            call = tf.saved_model.load(folder).signatures["serving_default"]
            found = {k: v.numpy() for k, v in call(examples=tf.constant(built.raw("eval"))).items()}
            known[kind, features] = settings, folder, call, found
        return known[kind, features]

    return of


@pytest.mark.parametrize("kind", [pytest.param("wide_deep", marks=pytest.mark.slow), "deep", "linear", "lsa"])
class TestEveryKind:
    def test_three_embeddings_of_unit_length(self, trained, built, kind):
        *_, found = trained(kind)
        rows = built.rows["eval"]
        has = {
            "embedding": np.ones(len(rows), bool),
            EMBEDDING_TEXT: np.array([bool(r["title"] or r["brand"] or r["price"]) for r in rows]),
            EMBEDDING_IMAGE: np.array([bool(r["image_bytes"]) for r in rows]),
        }
        assert not has[EMBEDDING_IMAGE].all() and has[EMBEDDING_IMAGE].any()
        for (name, expected), width in zip(has.items(), WIDTHS[kind], strict=True):
            assert found[name].shape == (80, width) and found[name].dtype == np.float32
            np.testing.assert_allclose(np.linalg.norm(found[name], axis=1), expected, atol=1e-5)

    def test_a_product_that_lacks_something_still_gets_an_embedding_and_a_category(self, trained, built, kind):
        _, _, call, _ = trained(kind)
        row = next(row for row in built.rows["eval"] if row["image_bytes"] and row["title"])
        rows = [{**row, **edge} for edge in EDGES]
        found = {k: v.numpy() for k, v in call(examples=tf.constant([raw_example(r) for r in rows])).items()}
        np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), 1.0, atol=1e-5)
        assert np.linalg.norm(found[EMBEDDING_IMAGE], axis=1).round(3).tolist() == [0.0, 1.0, 0.0]
        assert np.linalg.norm(found[EMBEDDING_TEXT], axis=1).round(3).tolist() == [1.0, 0.0, 0.0]
        assert all(np.isfinite(v).all() for v in found.values() if v.dtype != object)

    def test_the_model_that_was_trained_is_the_one_that_serves(self, trained, built, kind):
        _settings, folder, _, found = trained(kind)
        # Decoded, transformed and embedded in one graph, in batches of another size.
        call = tf.saved_model.load(folder).signatures["serving_default"]
        raw = built.raw("eval")
        parts = [call(examples=tf.constant(raw[at : at + 7])) for at in range(0, len(raw), 7)]
        for name in ("embedding", EMBEDDING_IMAGE, "exclusive/probabilities"):
            again = np.concatenate([part[name].numpy() for part in parts])
            np.testing.assert_allclose(again, found[name], atol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "deep"])
def test_a_picture_alone_is_enough(trained, built, kind):
    *_, found = trained(kind, ("picture",))
    assert EMBEDDING_IMAGE not in found and EMBEDDING_TEXT not in found
    np.testing.assert_allclose(np.linalg.norm(found["embedding"], axis=1), 1.0, atol=1e-5)
    rows = [i for i, row in enumerate(built.rows["eval"]) if row["image_bytes"]]
    if kind == "linear":
        best = found["exclusive/classes"][:, 0]
        assert np.mean([best[i] == built.rows["eval"][i]["truth"] for i in rows]) > 0.9


def test_predictions_have_all_embeddings(trained, built, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    settings, model, _, found = trained("linear")
    source, target, taxonomy = tmp_path / "in.gz", tmp_path / "out.parquet", tmp_path / "taxonomy.json"
    with tf.io.TFRecordWriter(str(source), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in built.raw("eval"):
            writer.write(example)
    TREE.write(taxonomy)
    text = settings.model_dump_json()
    predict_file(str(source), str(target), model=model, taxonomy=str(taxonomy), workflow=text)
    table = pq.read_table(target)
    for name in ("embedding", EMBEDDING_TEXT, EMBEDDING_IMAGE):
        assert table.schema.field(name).type == pa.list_(pa.float32(), found[name].shape[1])
        np.testing.assert_allclose(np.array(table[name].to_pylist(), np.float32), found[name], atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "lsa"])
def test_the_solvers_matrix_is_what_the_model_computes(built, kind):
    """Logits of the graph are the matrix times the heads: for products with everything, and with something missing."""
    settings = built.settings(BOTH, **IMAGE_KINDS[kind])
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"modality_dropout": 0.0})})
    counts = class_counts()
    sizes = input_sizes(settings, built.transform, counts)
    model = build_model(settings, sizes)
    train_data = batches([built.files["train"]], settings.features, settings.objectives, counts, batch_size=50)
    fit_exact(model, task_of(settings, sizes, [built.files["train"]], 240), c=settings.training.liblinear_c)
    embed = embedder(model, "picture")
    matrix, targets = design_matrix(
        train_data.as_numpy_iterator(), settings.features, sizes.features, seed=settings.seed, embed_images=embed
    )
    logits = np.concatenate([model(inputs)["exclusive"].numpy() for inputs, _ in train_data])
    if kind == "linear":
        weights = [model.get_layer(f"exclusive_wide_{name}").get_weights()[0] for name in BOTH]
        bias = model.get_layer("exclusive_bias").get_weights()[0]
        np.testing.assert_allclose(matrix @ np.concatenate(weights) + bias, logits, atol=1e-4)
    else:
        from modules.models.projection import embed as unit_rows

        start = matrix.shape[1] - 12
        projection = np.concatenate([model.get_layer(f"projection_{name}").get_weights()[0] for name in TEXT])
        both = np.concatenate([unit_rows(matrix[:, :start], projection), matrix[:, start:].toarray()], axis=1)
        weights, bias = model.get_layer("exclusive_head").get_weights()
        np.testing.assert_allclose(both @ weights + bias, logits, atol=1e-4)
    pictured = np.array([bool(row["image_bytes"]) for row in built.rows["train"]])
    lengths = np.linalg.norm(matrix[:, -12:].toarray(), axis=1)
    np.testing.assert_allclose(lengths, pictured, atol=1e-5)
    assert len(targets["exclusive"]) == 240


def test_the_solver_embeds_the_pictures_that_it_learns_from_alone(built):
    """Also where a batch has no label at all, or none has."""
    settings = built.settings(BOTH, objectives={"exclusive": {"kind": "exclusive"}}, **IMAGE_KINDS["linear"])
    counts = {"exclusive": class_counts()["exclusive"]}
    categorical = input_sizes(settings, built.transform, counts).features
    seen: list[int] = []

    def embed(pixels: np.ndarray) -> np.ndarray:
        seen.append(len(pixels))
        return pixels.reshape(len(pixels), -1)[:, :12].astype(np.float32)

    data = list(
        batches(
            [built.files["train"]], settings.features, settings.objectives, counts, batch_size=3
        ).as_numpy_iterator()
    )
    known = np.concatenate([targets["exclusive"] >= 0 for _, targets in data])
    whole, _ = design_matrix(data, settings.features, categorical, seed=settings.seed, embed_images=embed)
    seen.clear()
    found, targets = design_matrix(
        data, settings.features, categorical, seed=settings.seed, unlabelled=0.0, embed_images=embed
    )
    empty = sum((targets["exclusive"] < 0).all() for _, targets in data)
    assert sum(seen) == known.sum() + empty and min(seen) > 0 and 0 < empty < len(data)
    assert (targets["exclusive"] >= 0).all() and abs(found - whole[known]).max() == 0.0
    nothing = [one for one in data if (one[1]["exclusive"] < 0).all()]
    empty_matrix, _ = design_matrix(
        nothing, settings.features, categorical, seed=settings.seed, unlabelled=0.0, embed_images=embed
    )
    assert empty_matrix.shape == (0, whole.shape[1])


@pytest.mark.parametrize("dense", [False, True])
def test_copies_show_one_tower(dense):
    from scipy import sparse

    rng = np.random.default_rng(1)
    text, image = rng.random((400, 6)) + 0.1, rng.random((400, 3)) + 0.1
    text[:50], image[50:100] = 0.0, 0.0
    whole = np.concatenate([text, image], axis=1).astype(np.float32)
    found, rows = shown_alone(whole if dense else sparse.csr_matrix(whole), 6, 0.4, seed=3)
    found = found if dense else found.toarray()
    count = len(rows) // 2
    assert found.shape == (len(rows), 9) and found.dtype == np.float32
    assert rows.min() >= 100 and len(np.unique(rows)) == count and 0.3 < count / 300 < 0.5
    np.testing.assert_array_equal(rows[:count], rows[count:])
    np.testing.assert_array_equal(found[:count], np.pad(whole[rows[:count], :6], ((0, 0), (0, 3))))
    np.testing.assert_array_equal(found[count:], np.pad(whole[rows[count:], 6:], ((0, 0), (6, 0))))
    every, of = shown_alone(whole if dense else sparse.csr_matrix(whole), 6, 1.0, seed=3)
    assert every.shape == (600, 9) and sorted(of) == sorted([*range(100, 400)] * 2)


def test_modality_dropout_leaves_one_tower_of_a_share():
    present = [np.ones((2000, 1)), np.ones((2000, 1))]
    present[0][:200], present[1][200:400] = 0.0, 0.0
    layer = ModalityDropout(0.3, seed=5)
    before = np.concatenate(present, axis=1)
    np.testing.assert_array_equal(layer(present), before)
    found = np.asarray(layer(present, training=True))
    # What a product has alone stays, and nothing appears.
    np.testing.assert_array_equal(found[:400], before[:400])
    alone = found[400:].sum(axis=1)
    assert set(np.unique(alone)) == {1.0, 2.0} and 0.26 < (alone == 1).mean() < 0.34
    assert 0.4 < found[400:][alone == 1][:, 0].mean() < 0.6
    assert np.abs(found - np.asarray(layer(present, training=True))).max() == 1.0
