"""What names say before any label, in NumPy and in the graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from modules.graph_ops.layers import CategoryNames
from modules.models.name_prior import LEAST_DEVIATION, SHARPNESS, NamePrior, name_prior
from modules.models.name_prior import _shares as shares_of
from modules.models.projection import unit_rows
from modules.models.whitening import Whitening

SHAPES = {"products": st.integers(0, 40), "classes": st.integers(1, 9), "width": st.integers(1, 12)}
SEEDS = st.integers(0, 2**31)


def drawn(seed: int, products: int, classes: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    embeddings = unit_rows(rng.normal(size=(products, width))).astype(np.float32)
    embeddings[rng.random(products) < 0.1] = 0.0
    return unit_rows(rng.normal(size=(classes, width))).astype(np.float32), embeddings


@given(seed=SEEDS, whitened=st.booleans(), **SHAPES)
def test_neither_the_products_order_nor_the_categories_matters(
    seed: int, whitened: bool, products: int, classes: int, width: int
) -> None:
    names, embeddings = drawn(seed, products, classes, width)
    whole = name_prior(names, embeddings, whitened=whitened).directions
    rng = np.random.default_rng(seed)
    np.testing.assert_allclose(
        name_prior(names, rng.permutation(embeddings), whitened=whitened).directions, whole, atol=2e-5
    )
    order = rng.permutation(classes)
    np.testing.assert_allclose(
        name_prior(names[order], embeddings, whitened=whitened).directions, whole[order], atol=2e-5
    )
    # A catalogue twice as large of the same products says the same.
    np.testing.assert_allclose(
        name_prior(names, np.tile(embeddings, (2, 1)), whitened=whitened).directions, whole, atol=2e-5
    )


@given(seed=SEEDS, sharpness=st.floats(0.1, 8.0), levelled=st.booleans(), **SHAPES)
def test_probabilities_add_up_and_rank_as_the_cosines(
    seed: int, sharpness: float, levelled: bool, products: int, classes: int, width: int
) -> None:
    names, embeddings = drawn(seed, products, classes, width)
    # Of equal shares nothing is taken.
    prior = NamePrior(names, {sharpness: np.full(classes, 1 / classes, np.float32)})
    shares = prior.probabilities(embeddings, sharpness, levelled)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    best = (embeddings @ names.T).max(axis=1, initial=-2.0)
    taken = np.take_along_axis(embeddings @ names.T, shares.argmax(axis=1)[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(taken, best, atol=1e-5)


def hub(classes: int, products: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Names, the last of which lies in the middle of all products and so takes many of them."""
    rng = np.random.default_rng(seed)
    embeddings = unit_rows(rng.normal(size=(products, 30)) + 0.5).astype(np.float32)
    names = rng.normal(size=(classes, 30))
    names[-1] = embeddings.mean(axis=0) * 8
    return unit_rows(names).astype(np.float32), embeddings


@pytest.mark.parametrize("sharpness", SHARPNESS)
@pytest.mark.parametrize("levelled", [False, True])
def test_shares_are_levelled_or_cut_to_what_the_average_product_sees(sharpness: float, levelled: bool) -> None:
    names, embeddings = hub(12, 400)
    prior = name_prior(names, embeddings, whitened=False)
    cosines = (embeddings @ prior.directions.T).astype(float)
    logits = sharpness * (cosines - cosines.mean(axis=1, keepdims=True)) / cosines.std(axis=1, keepdims=True)
    alone = softmax(logits, axis=1)
    np.testing.assert_allclose(prior.shares[sharpness], alone.mean(axis=0), rtol=1e-4)
    shares = alone.mean(axis=0)
    seen = float(shares @ shares)
    assert shares[-1] > 1.5 * seen and (shares < seen).sum() > 6
    divided = alone / (shares if levelled else np.maximum(shares, seen))
    expected = divided / divided.sum(axis=1, keepdims=True)
    given = prior.probabilities(embeddings, sharpness, levelled)
    np.testing.assert_allclose(given, expected, rtol=2e-3, atol=1e-6)
    after = given.mean(axis=0)
    assert after[-1] < shares[-1] and np.ptp(after) < np.ptp(shares)
    # Among those that are not cut nothing changes.
    if not levelled:
        few = np.flatnonzero(shares < seen)[:2]
        np.testing.assert_allclose(given[:, few[0]] / given[:, few[1]], alone[:, few[0]] / alone[:, few[1]], rtol=2e-3)


def test_a_product_that_resembles_nothing_is_of_no_category_however_shares_differ() -> None:
    names, embeddings = hub(9, 300)
    prior = name_prior(names, embeddings, whitened=False)
    blank = np.zeros((2, 30), np.float32)
    for levelled in (False, True):
        np.testing.assert_allclose(prior.probabilities(blank, 2.0, levelled), 1 / 9, atol=1e-6)
    # Nor does it count when shares are taken.
    padded = np.concatenate([embeddings, np.zeros((600, 30), np.float32)])
    again = NamePrior(prior.directions, shares_of(prior.directions, padded))
    np.testing.assert_allclose(again.shares[2.0], prior.shares[2.0], rtol=1e-4)


def test_a_direction_moves_towards_its_products_and_brings_the_shops_own_words() -> None:
    rng = np.random.default_rng(1)
    width, classes = 20, 3
    names = np.zeros((classes, width), np.float32)
    names[:, :classes] = np.eye(classes)
    # Products lie near a name, and share a further direction of the shop's own, of which the name knows nothing.
    truth = rng.integers(classes, size=300)
    centres = names.copy()
    centres[np.arange(classes), 5 + np.arange(classes)] = 1.0
    embeddings = unit_rows(centres[truth] + 0.2 * rng.normal(size=(300, width))).astype(np.float32)
    directions = name_prior(names, embeddings, whitened=False).directions
    own = np.stack([unit_rows(embeddings[truth == c].mean(axis=0, keepdims=True))[0] for c in range(classes)])
    before, after = (names * own).sum(axis=1), (directions * own).sum(axis=1)
    assert (after > before + 0.1).all() and (after > 0.95).all()
    assert (directions[np.arange(classes), 5 + np.arange(classes)] > 0.4).all()
    np.testing.assert_allclose(name_prior(names, embeddings[:0], whitened=False).directions, names, atol=1e-6)


def test_it_reads_products_as_they_are_and_judges_them_whitened() -> None:
    names, embeddings = drawn(5, 80, 6, 20)
    embeddings[:, 8:] *= 0.1
    names[:, :4] = 0.0
    whitening = Whitening.of(embeddings, np.arange(4, 20))
    apart, moved = unit_rows(whitening(embeddings)), unit_rows(whitening(names))
    expected = name_prior(moved, apart, whitened=False).scores(apart)
    prior = name_prior(names, embeddings, whitened=True)
    np.testing.assert_allclose(prior.scores(embeddings), expected, atol=1e-3)
    assert np.abs(name_prior(names, embeddings, whitened=False).scores(embeddings) - expected).max() > 0.1


@pytest.mark.parametrize("classes", [1, 2, 40])
@pytest.mark.parametrize("kind", ["names", "equal", "none"])
@pytest.mark.parametrize("levelled", [False, True])
def test_the_layer_computes_the_same(classes: int, kind: str, levelled: bool) -> None:
    names, embeddings = drawn(7, 60, classes, 300)
    embeddings[:3] = 0.0
    names = {"names": names, "equal": np.repeat(names[:1], classes, axis=0), "none": 0 * names}[kind]
    prior = name_prior(names, embeddings, whitened=True)
    layer = CategoryNames(classes, LEAST_DEVIATION)
    np.testing.assert_array_equal(np.asarray(layer(embeddings)), np.zeros((60, classes)))
    spread = np.random.default_rng(3).normal(size=(classes, classes)).astype(np.float32)
    layer.set_weights([prior.directions.T, spread, np.float32(2.0), prior.offsets(2.0, levelled)])
    expected = prior.probabilities(embeddings, 2.0, levelled) @ spread
    np.testing.assert_allclose(np.asarray(layer(embeddings)), expected, atol=1e-4 if kind == "names" else 2e-2)
    assert layer.trainable_weights == []
    again = CategoryNames.from_config(layer.get_config())
    again.build((None, 300))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(np.asarray(again(embeddings)), np.asarray(layer(embeddings)))
    assert again.compute_dtype == "float32"
