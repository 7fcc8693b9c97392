"""What synonyms and descriptions add to categories' names: their vectors, and what a prior says by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from modules.arrays import Float32Array
from modules.encoders.cache import VectorCache
from modules.encoders.folder import fingerprint_of, read_settings
from modules.encoders.passing import encode_texts
from modules.models.build import NameInputs
from modules.models.name_prior import name_prior
from modules.models.projection import unit_rows
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.category_names import encoded_names
from modules.training.liblinear import names_in_embedding
from tests.encoders import tiny_encoder

pytestmark = pytest.mark.slow

TREE = Taxonomy.from_paths(["Shop > Shoes", "Shop > Lamps", "Shop > Bags", "Pots"])
TOLD: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Shop > Lamps": ("a set of steel and wood for the table", ("phone cable", "red battery")),
    "Pots": ("", ("pans",)),
}
TEXTS = {
    "Shop > Shoes": ["Shop > Shoes"],
    "Shop > Lamps": [
        "Shop > Lamps", "Shop > phone cable", "Shop > red battery", "Lamps: a set of steel and wood for the table"
    ],
    "Shop > Bags": ["Shop > Bags"],
    "Pots": ["Pots", "pans"],
}  # fmt: skip
"""Written out: what each category's vector is to be the mean of."""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny"))


def workflow(encoder: str, **changes: object) -> Workflow:
    meaning = {"kind": "encoded", "encoder": encoder, "column": "title", "width": 16, "scale": 1.5}
    settings = {
        "name": "tiny", "features": {"meaning": meaning}, "objectives": {"exclusive": {"kind": "exclusive"}},
        "model": {"kind": "gaussian_process"}, "training": {"solver": "liblinear"},
    }  # fmt: skip
    return Workflow.model_validate({**settings, **changes})


def described(tree: Taxonomy, told: Mapping[str, tuple[str, tuple[str, ...]]]) -> Taxonomy:
    empty: tuple[str, tuple[str, ...]] = ("", ())
    return Taxonomy(
        replace(category, description=description, synonyms=synonyms)
        for category in tree
        for description, synonyms in [told.get(category.text, empty)]
    )


def vectors_of(encoder: str, tree: Taxonomy) -> Float32Array:
    return np.asarray(encoded_names(workflow(encoder), tree)["exclusive"]["meaning"])


def encoded(encoder: str, texts: Sequence[str]) -> Float32Array:
    return encode_texts(encoder, texts, cache=None)


def test_a_category_lies_at_the_unit_mean_of_its_texts(encoder: str) -> None:
    classes = [category.text for category in TREE.exclusive]
    vectors = vectors_of(encoder, described(TREE, TOLD))
    paths = encoded(encoder, classes).astype(np.float64)
    for row, name in enumerate(classes):
        middle = np.mean([encoded(encoder, [text])[0].astype(np.float64) for text in TEXTS[name]], axis=0)
        middle = middle / np.sqrt((middle**2).sum()) - paths.mean(axis=0)
        np.testing.assert_allclose(vectors[row], 1.5 * middle / np.sqrt((middle**2).sum()), atol=5e-3, err_msg=name)
    assert vectors.dtype == np.float32 and vectors.shape == (4, 16)


def test_without_texts_nothing_changes_and_a_text_moves_its_own_category_alone(encoder: str) -> None:
    paths = encoded(encoder, [category.text for category in TREE.exclusive])
    # As vectors were before there were any texts.
    centred = paths - paths.mean(axis=0)
    before = (1.5 * centred / np.linalg.norm(centred, axis=1, keepdims=True)).astype(np.float32)
    np.testing.assert_array_equal(vectors_of(encoder, TREE), before)
    after = vectors_of(encoder, described(TREE, TOLD))
    for row, category in enumerate(TREE.exclusive):
        assert (after[row] == before[row]).all() == (category.text not in TOLD), category.text


def test_names_are_encoded_once_where_there_is_a_cache(encoder: str, tmp_path: Path) -> None:
    tree = described(TREE, TOLD)
    cached = workflow(encoder, encodings={"cache": str(tmp_path)})
    first = encoded_names(cached, tree)["exclusive"]["meaning"]
    np.testing.assert_array_equal(first, vectors_of(encoder, tree))
    settings = read_settings(encoder)
    with VectorCache(tmp_path, fingerprint_of(settings), settings.width) as cache:
        texts = [text for own in TEXTS.values() for text in own]
        assert set(cache.find(texts)) == set(texts)
        # What the second pass takes from there, it does not encode.
        cache.store({"Pots": np.eye(1, settings.width, 3, dtype=np.float16)[0]})
    second = encoded_names(cached, tree)["exclusive"]["meaning"]
    assert not np.allclose(second, first)


def test_what_parents_say_is_not_their_childrens(encoder: str) -> None:
    told = described(TREE, {"Shop": ("red shoes and blue boots", ("coffee",))})
    np.testing.assert_array_equal(vectors_of(encoder, told), vectors_of(encoder, TREE))


def test_synonyms_turn_wrong_guesses_before_any_label_into_right_ones(encoder: str, tmp_path: Path) -> None:
    kinds = ("shoe shoes", "wood table")
    colours = ("red", "blue", "green", "black", "cotton", "wool", "large", "small")
    embeddings = encoded(encoder, [f"{colour} {kind} {kind}" for kind in kinds for colour in colours])
    embeddings = unit_rows(embeddings - embeddings.mean(axis=0))
    truth = np.repeat([0, 1], len(colours))
    codes = Taxonomy.from_paths(["q7", "z4"])

    def guessed(tree: Taxonomy) -> np.ndarray:
        flow = workflow(encoder)
        none = sparse.csr_matrix((len(tree), 16), dtype=np.float32)
        inputs = NameInputs(encoded_names(flow, tree)["exclusive"], none)
        placed = names_in_embedding(inputs, flow.features, np.zeros(0, np.intp), np.zeros((0, 0), np.float32))
        (names,) = placed.by_loudness.values()
        return np.asarray(name_prior(names, embeddings, whitened=True).scores(embeddings).argmax(axis=1))

    alone = guessed(codes)
    accuracies = []
    # Codes say nothing: what they happen to resemble is right if they are given one way, and wrong the other way.
    for order in (1, -1):
        told = {c.text: ("", (f"a {kind}", f"the {kind}")) for c, kind in zip(codes, kinds[::order], strict=True)}
        described(codes, told).write(tmp_path / "taxonomy.csv")
        right = truth if order == 1 else 1 - truth
        knowing = guessed(Taxonomy.load(tmp_path / "taxonomy.csv"))
        accuracies.append(((alone == right).mean(), (knowing == right).mean()))
    assert min(before for before, _ in accuracies) < 0.2
    assert min(after for _, after in accuracies) > 0.9
