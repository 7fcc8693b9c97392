"""Heads that start from categories' names, trained, exported, and asked with raw text alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from scipy import sparse
from scipy.special import log_softmax

from modules.arrays import Float32Array
from modules.examples import MODEL_FACTS, encoding
from modules.models.build import NameInputs
from modules.models.projection import embed, fit_projection, unit_rows
from modules.objectives import ancestor_levels
from modules.saved_models import load_saved_model
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.category_names import encoded_names, name_inputs
from modules.training.data import batches
from modules.training.design import columns_of, design_matrix
from modules.training.gaussian_process import LEAST_LABELS, LEXICAL, Process
from modules.training.liblinear import names_in_embedding
from modules.training.named_products import NamedProducts, NamesInEmbedding, process_of
from modules.training.run import input_sizes, train
from tests.encoders import tiny_encoder
from tests.modules.training import catalogue
from tests.modules.training.shared import FEATURES, IMAGE_START
from tests.modules.training.test_text_vectors import with_vectors

pytestmark = pytest.mark.slow

TEXT = ("title", "meaning")
EXCLUSIVE = {"exclusive": {"kind": "exclusive"}}
BOTH = {**EXCLUSIVE, "rule_based": {"kind": "multi_label"}}
TRAINING: dict[str, Any] = {"solver": "liblinear", "mixed_precision": "off"}
PROCESS = {"kind": "gaussian_process", "embedding_width": 12}
TOLD = Taxonomy(
    replace(category, synonyms=tuple(catalogue.WORDS[category.text][:2]) if category.exclusive else ())
    for category in catalogue.TREE
)
"""The catalogue's categories, with synonyms that are words of its titles."""


class Shop:
    """The catalogue after Transform, with the tiny encoder's vectors."""

    def __init__(self, folder: Path):
        self.folder, self.encoder = folder, str(tiny_encoder(folder / "tiny"))
        self.rows = {
            split: with_vectors(catalogue.products(count, seed), self.settings())
            for split, count, seed in (("train", 160, 1), ("eval", 60, 2))
        }
        whole = self.settings((*TEXT, "picture"))
        transform, self.files = catalogue.transformed(folder, whole, self.rows)
        self.transform = tft.TFTransformOutput(transform)

    def settings(self, features: tuple[str, ...] = TEXT, **changes: Any) -> Workflow:
        meaning = {
            "kind": "encoded", "encoder": self.encoder, "columns": ["title", "brand"], "width": 16, "scale": 1.5
        }  # fmt: skip
        known = {"title": {"kind": "text", "vocabulary": 50}, "meaning": meaning, "picture": FEATURES["picture"]}
        settings = {"objectives": EXCLUSIVE, "model": PROCESS, "training": TRAINING, **changes}
        if "picture" in features:
            settings["training"] = {**settings["training"], "image_start": IMAGE_START}
        return catalogue.workflow(features={name: known[name] for name in features}, **settings)

    def labelled(self, split: str, kept: int | None, folder: Path) -> str:
        """The split's file with the first labels alone; None: all of them."""
        if kept is None:
            return self.files[split]
        options, left = tf.io.TFRecordOptions(compression_type="GZIP"), kept
        path = str(folder / f"{split}-{kept}.gz")
        with tf.io.TFRecordWriter(path, options) as writer:
            for record in tf.data.TFRecordDataset(self.files[split], compression_type="GZIP"):
                example = tf.train.Example.FromString(record.numpy())
                label = example.features.feature["label/exclusive"].int64_list
                if label.value[0] >= 0:
                    label.value[0] = label.value[0] if left > 0 else -1
                    left -= 1
                writer.write(example.SerializeToString())
        return path

    def trained(
        self, settings: Workflow, output: Path, labels: tuple[int | None, int | None] = (None, None),
        tree: Taxonomy = catalogue.TREE,
    ) -> dict[str, Any]:  # fmt: skip
        """Trains with these numbers of labels on train and eval; the facts beside the model."""
        output.mkdir(parents=True, exist_ok=True)
        files = [self.labelled(split, kept, output) for split, kept in zip(("train", "eval"), labels, strict=True)]
        train(settings, tree, self.transform, files[:1], files[1:], output=str(output / "model"))
        facts: dict[str, Any] = json.loads((output / "model" / MODEL_FACTS).read_text())
        return facts

    def answers(self, output: Path, split: str, signature: str) -> Mapping[str, np.ndarray]:
        """What the exported model says of raw texts, without vectors."""
        raw = [catalogue.raw_example({**row, encoding("meaning"): None}) for row in self.rows[split]]
        call = load_saved_model(str(output / "model")).signatures[signature]
        return {name: value.numpy() for name, value in call(examples=tf.constant(raw)).items()}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("named"))


class Embedded(NamedTuple):
    """Products in NumPy, by the SVD of the train split: embeddings, labels and the title's words; and the names."""

    embeddings: Float32Array
    labels: np.ndarray
    words: sparse.csr_matrix
    names: NamesInEmbedding

    def process(self, settings: Workflow, *, words: bool = False) -> Process:
        """What these products' labels teach."""
        objective = settings.objectives["exclusive"]
        levels = ancestor_levels(objective.classes(catalogue.TREE), catalogue.TREE)
        known = NamedProducts.of(self.embeddings, self.names, self.words if words else None)
        return process_of(objective, known, np.flatnonzero(self.labels >= 0), self.labels, levels, settings.seed)


def embedded(shop: Shop, settings: Workflow, split: str) -> Embedded:
    counts = {"exclusive": len(catalogue.TREE.exclusive)}
    sizes = input_sizes(settings, shop.transform, counts)
    pairs = {
        part: design_matrix(
            batches(
                [shop.files[part]], settings.features, settings.objectives, counts, batch_size=64
            ).as_numpy_iterator(),
            settings.features, sizes.features, seed=settings.seed,
        )
        for part in ("train", split)
    }  # fmt: skip
    start, end = columns_of(settings.features, sizes.features)["title"]
    width = settings.model.model_dump()["embedding_width"]
    projection = fit_projection(pairs["train"][0][:, start:end], width, settings.seed)
    matrix, labels = pairs[split]
    rest = np.delete(matrix.toarray(), np.s_[start:end], axis=1)
    both = np.concatenate([embed(matrix[:, start:end], projection), rest], axis=1)
    inputs = name_inputs(settings, catalogue.TREE, shop.transform, sizes.features).get("exclusive")
    none = NameInputs(encoded_names(settings, catalogue.TREE)["exclusive"], sparse.csr_matrix((4, matrix.shape[1])))
    names = names_in_embedding(inputs or none, settings.features, np.arange(start, end), projection)
    return Embedded(unit_rows(both).astype(np.float32), labels["exclusive"], matrix[:, start:end], names)


@pytest.mark.parametrize("features", [TEXT, ("meaning", "title"), ("meaning",)], ids="-".join)
@pytest.mark.parametrize("kind", ["gaussian_process", "lsa"])
def test_the_embedding_is_the_svds_beside_the_encoders(
    shop: Shop, tmp_path: Path, kind: str, features: tuple[str, ...]
) -> None:
    settings = shop.settings(features, model={**PROCESS, "kind": kind})
    shop.trained(settings, tmp_path)
    answered = shop.answers(tmp_path, "eval", "serving_default")["embedding"]
    if "title" in features:
        expected = embedded(shop, settings, "eval").embeddings
        assert answered.shape == (60, 28)
        # An encoder's vector of length 1.5 beside an SVD's of length 1.
        whole = (answered[:, :12] != 0).any(axis=1) & (answered[:, 12:] != 0).any(axis=1)
        shares = np.linalg.norm(answered[whole, 12:], axis=1) / np.linalg.norm(answered[whole, :12], axis=1)
        np.testing.assert_allclose(shares, 1.5, atol=1e-3)
        assert whole.sum() > 40
        np.testing.assert_allclose(answered, expected, atol=2e-3)
    else:
        assert answered.shape == (60, 16)
    lengths = np.linalg.norm(answered, axis=1)
    assert (np.isclose(lengths, 1.0, atol=1e-5) | (lengths == 0.0)).all()


@pytest.mark.parametrize("labels", [0, 7, LEAST_LABELS + 20, None], ids=str)
def test_the_exported_model_answers_as_the_process(shop: Shop, tmp_path: Path, labels: int | None) -> None:
    settings = shop.settings()
    facts = shop.trained(settings, tmp_path, (labels, None))
    known, others = embedded(shop, settings, "train"), embedded(shop, settings, "eval").embeddings
    if labels is not None:
        known = known._replace(labels=np.where(np.cumsum(known.labels >= 0) <= labels, known.labels, -1))
    process = known.process(settings)
    logits = process.logits(others)
    answered = shop.answers(tmp_path, "eval", "evaluate")["exclusive/probabilities"]
    temperature = facts["calibration"]["temperature"]["exclusive"]
    np.testing.assert_allclose(np.log(answered), log_softmax(logits / temperature, axis=1), atol=0.05)
    if labels == 0:
        says = process.prior.probabilities(others, process.numbers.sharpness, process.numbers.levelled)
        assert (logits.argmax(axis=1) == says.argmax(axis=1)).mean() > 0.8
        assert sum(facts["training_labels"]["exclusive"]) == 0
    if labels is None:
        known = np.array([row["truth"] for row in shop.rows["eval"]])
        titled = np.array([row["title"] is not None for row in shop.rows["eval"]])
        assert (answered.argmax(axis=1) == known)[titled].mean() > 0.9


@pytest.mark.parametrize("features", [TEXT, ("meaning", "title")], ids="-".join)
def test_the_exported_model_compares_words(shop: Shop, tmp_path: Path, features: tuple[str, ...]) -> None:
    # Two directions of the SVD leave it to the words to tell categories apart.
    settings = shop.settings(features, model={**PROCESS, "embedding_width": 2, "words": True})
    facts = shop.trained(settings, tmp_path)
    others = embedded(shop, settings, "eval")
    process, asked = embedded(shop, settings, "train").process(settings, words=True), others.words
    assert process.words is not None and np.abs(asked @ process.words).max() > 0.1
    answered = shop.answers(tmp_path, "eval", "evaluate")["exclusive/probabilities"]
    logits = process.logits(others.embeddings, asked) / facts["calibration"]["temperature"]["exclusive"]
    np.testing.assert_allclose(np.log(answered), log_softmax(logits, axis=1), atol=0.05)


KINDS: dict[str, dict[str, Any]] = {
    "no label at all": {"labels": (0, 0)},
    "a label for evaluation alone": {"labels": (0, 1)},
    "one label": {"labels": (1, 0)},
    "a multi-label objective": {"objectives": BOTH},
    "rules alone": {"objectives": BOTH, "labels": (0, 0)},
    "refitted on both splits": {"training": {**TRAINING, "refit_on_eval": True}, "labels": (30, 20)},
    "balanced": {"objectives": {"exclusive": {"kind": "exclusive", "class_weights": "balanced"}}},
    "bootstrap": {"committee": {"by": "bootstrap", "members": 2, "combine": "average"}, "labels": (40, 20)},
    "other kinds": {"committee": {"by": "kinds", "combine": "weighted", "kinds": [
        {"model": {"kind": "linear"}, "training": TRAINING}, {"model": {"kind": "auto"}, "training": TRAINING}]}},
    "words": {"model": {**PROCESS, "words": True}},
    "words, no label": {"model": {**PROCESS, "words": True}, "labels": (0, 0)},
    "words, refitted": {"model": {**PROCESS, "words": True}, "training": {**TRAINING, "refit_on_eval": True}},
    "no words": {"model": {**PROCESS, "words": True}, "features": ("meaning",), "labels": (20, None)},
    "words beside a picture": {"model": {**PROCESS, "words": True}, "features": (*TEXT, "picture")},
    "a picture": {"features": (*TEXT, "picture"), "objectives": BOTH, "labels": (40, None)},
    "a picture, no label": {"features": (*TEXT, "picture"), "labels": (0, 0)},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_training_gives_a_model_that_answers(shop: Shop, tmp_path: Path, kind: str) -> None:
    changes = dict(KINDS[kind])
    labels, features = changes.pop("labels", (None, None)), changes.pop("features", TEXT)
    facts = shop.trained(shop.settings(features, **changes), tmp_path, labels)
    answered = shop.answers(tmp_path, "eval", "serving_default")
    numbers = {name: value for name, value in answered.items() if value.dtype.kind == "f"}
    assert all(np.isfinite(value).all() for value in numbers.values())
    probabilities = answered["exclusive/probabilities"]
    assert probabilities.shape[0] == 60 and (probabilities.max(axis=1) > probabilities.min(axis=1)).mean() > 0.9
    known = np.array([row["truth"] for row in shop.rows["eval"]])
    titled = np.array([row["title"] is not None for row in shop.rows["eval"]])
    if labels[0] is None or labels[0] >= 30:
        assert (answered["exclusive/classes"][:, 0] == known)[titled].mean() > 0.7
    assert facts["model"]["kind"] == "gaussian_process"
    if kind == "refitted on both splits":
        again = shop.folder / "once"
        shop.trained(shop.settings(), again, (30, 20))
        once = shop.answers(again, "eval", "serving_default")["exclusive/probabilities"]
        assert np.abs(once - probabilities).max() > 1e-3


@pytest.mark.parametrize(
    ("features", "kind"), [(TEXT, "gaussian_process"), (("title",), "gaussian_process"), (("picture",), "lsa")]
)
def test_auto_takes_it_where_text_can_be_compared_with_names(
    shop: Shop, tmp_path: Path, features: tuple[str, ...], kind: str
) -> None:
    facts = shop.trained(shop.settings(features, model={"kind": "auto", "embedding_width": 12}), tmp_path)
    assert facts["model"]["kind"] == kind and kind in facts["chosen"]
    assert ("names" in facts["chosen"]) == (kind == "gaussian_process")


def test_without_an_encoder_the_shops_own_words_read_names(shop: Shop, tmp_path: Path) -> None:
    settings = shop.settings(("title",))
    facts = shop.trained(settings, tmp_path, (0, None), TOLD)
    assert facts["from_names"] == ["exclusive"]
    answered = shop.answers(tmp_path, "eval", "serving_default")
    titled = np.array([row["title"] is not None for row in shop.rows["eval"]])
    known = np.array([row["truth"] for row in shop.rows["eval"]])
    assert (answered["exclusive/classes"][:, 0] == known)[titled].mean() > 0.9


def inputs_of(shop: Shop, settings: Workflow, tree: Taxonomy = catalogue.TREE) -> dict[str, NameInputs]:
    sizes = input_sizes(settings, shop.transform, {"exclusive": len(tree.exclusive)})
    return name_inputs(settings, tree, shop.transform, sizes.features)


def test_names_are_read_only_where_a_model_reads_them(shop: Shop) -> None:
    assert inputs_of(shop, shop.settings(model={"kind": "linear"})) == {}
    kinds = {"by": "kinds", "kinds": [{"model": PROCESS, "training": TRAINING}]}
    assert set(inputs_of(shop, shop.settings(model={"kind": "linear"}, committee=kinds))) == {"exclusive"}
    assert inputs_of(shop, shop.settings(("picture",), model={"kind": "auto"})) == {}
    alone = {"rule_based": {"kind": "multi_label"}}
    assert inputs_of(shop, shop.settings(objectives=alone, model={"kind": "auto"})) == {}
    names = inputs_of(shop, shop.settings(objectives=BOTH))["exclusive"].encoded["meaning"]
    assert names.shape == (4, 16) and names.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(names, axis=1), 1.5, atol=1e-5)


def test_names_words_are_those_of_products_with_such_titles(shop: Shop) -> None:
    settings = shop.settings()
    words = inputs_of(shop, settings, TOLD)["exclusive"].words
    sizes = input_sizes(settings, shop.transform, {"exclusive": 4})
    start, end = columns_of(settings.features, sizes.features)["title"]
    titles = [[" ".join((*c.path, *catalogue.WORDS[c.text][:2]))] for c in catalogue.TREE.exclusive]
    raw = {"title": tf.sparse.from_dense(titles)}
    transformed = shop.transform.transform_features_layer()(raw)
    expected = np.zeros((4, end - start), np.float32)
    ids, weights = transformed["title/ids"], transformed["title/weights"]
    expected[ids.indices[:, 0].numpy(), ids.values.numpy()] = weights.values.numpy()
    np.testing.assert_allclose(words[:, start:end].toarray(), expected, atol=1e-6)
    assert expected.any() and words.shape[1] == end - start + 16
    assert not np.delete(words.toarray(), np.s_[start:end], axis=1).any()


def test_names_lie_where_products_of_their_text_would() -> None:
    features = {
        name: catalogue.workflow(
            features={name: {"kind": "encoded", "encoder": "/none", "column": "title", "width": 2}}
        ).features[name]
        for name in ("first", "second")
    }
    parts = {"first": np.array([[3.0, 0.0]], np.float32), "second": np.array([[0.0, 4.0]], np.float32)}
    # Two words in the third and fourth column, which one direction has as 0.5 and 0.
    words = sparse.csr_matrix(np.array([[0, 0, 2.0, 7.0, 0]], np.float32))
    projection = np.array([[0.5], [0.0]], np.float32)
    placed = names_in_embedding(NameInputs(parts, words), features, np.array([2, 3]), projection, image_columns=1)
    assert placed.encoder.tolist() == [False, True, True, True, True, False]
    assert list(placed.by_loudness) == list(LEXICAL)
    for loudness, names in placed.by_loudness.items():
        length = (loudness**2 + 25.0) ** 0.5
        np.testing.assert_allclose(names, [[loudness / length, 3 / length, 0, 0, 4 / length, 0]], atol=1e-6)
    # What one of the two reads alone has one loudness.
    silent = NameInputs(parts, sparse.csr_matrix((1, 5), dtype=np.float32))
    assert list(names_in_embedding(silent, features, np.array([2, 3]), projection).by_loudness) == [LEXICAL[0]]
    alone = names_in_embedding(NameInputs({}, words), {}, np.array([2, 3]), projection)
    np.testing.assert_allclose(alone.by_loudness[LEXICAL[0]], [[1.0]], atol=1e-6)
    assert not alone.encoder.any()
