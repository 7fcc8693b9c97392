"""Guesses as labels: how much they count, and what a process makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.models.projection import unit_rows
from modules.objectives import ExclusiveObjective
from modules.training import named_products
from modules.training.gaussian_process import LEXICAL, fit_process
from modules.training.labelled import Named
from modules.training.named_products import process_of
from modules.training.self_training import BALANCE, OVERCONFIDENCE, WEIGHT, guesses
from tests.modules.training.test_gaussian_process import (
    CLASSES,
    accuracy,
    clusters,
    fitted,
    labelled,
    posterior,
    priors_of,
    products_of,
)


@given(st.integers(1, 40), st.integers(2, 9), st.integers(0, 10_000))
def test_guesses_are_the_likeliest_classes_and_rare_ones_count_more(count: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.3), count).astype(np.float32)
    silent = rng.random(count) < 0.2
    probabilities[silent] = 1.0 / classes
    rows, guessed, weights = guesses(probabilities)
    assert not silent[rows].any() and (guessed == probabilities[rows].argmax(axis=1)).all()
    shares = probabilities[rows].sum(axis=0, dtype=float)
    for row, category in enumerate(guessed):
        expected = WEIGHT * (len(rows) / classes / max(shares[category], 1.0)) ** BALANCE
        assert weights[row] == pytest.approx(expected, rel=1e-5)


def test_nothing_is_learnt_of_products_of_which_nothing_is_said() -> None:
    rows, guessed, weights = guesses(np.full((5, 4), 0.25, np.float32))
    assert len(rows) == len(guessed) == len(weights) == 0
    embeddings, truth, names = clusters(40, 12)
    silent = np.zeros_like(names)
    process = fitted(labelled(embeddings[:0], truth[:0]), silent, priors_of(silent, embeddings), unlabelled=embeddings)
    assert not process.table.any() and np.ptp(process.logits(embeddings), axis=1).max() < 1e-5


@pytest.mark.parametrize("count", [0, 1, 30])
def test_it_is_the_posterior_of_labels_and_guesses(count: int) -> None:
    embeddings, truth, names = clusters(count + 50, 20, seed=6)
    priors = priors_of(names, embeddings)
    rows, others = labelled(embeddings[:count], truth[:count]), embeddings[count:].copy()
    others[::9] = 0.0
    alone, taught = fitted(rows, names, priors), fitted(rows, names, priors, unlabelled=others)
    assert taught.numbers == alone.numbers
    shown = others[others.any(axis=1)]
    logits = alone.logits(shown)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    _, guessed, weights = guesses(probabilities / probabilities.sum(axis=1, keepdims=True))
    both = labelled(
        np.concatenate([rows.embeddings, shown]), np.concatenate([rows.labels, guessed]),
        weights=np.concatenate([rows.weights, weights]),
    )  # fmt: skip
    # What fades does so by labels, not by guesses.
    numbers = alone.numbers
    assert np.isinf(numbers.fade) and numbers.examples
    expected = posterior(both, names, priors, numbers, embeddings) / numbers.temperature / OVERCONFIDENCE
    np.testing.assert_allclose(taught.logits(embeddings), expected, atol=5e-3)


def test_guesses_tell_what_all_products_differ_by() -> None:
    """Few labels cannot say which directions mean nothing; how the catalogue lies does."""
    gains = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        centres, nuisance = rng.normal(size=(6, 40)), rng.normal(size=(4, 40))
        truth = rng.integers(6, size=900)
        embeddings = centres[truth] + 2.0 * rng.normal(size=(900, 4)) @ nuisance + 0.2 * rng.normal(size=(900, 40))
        embeddings = unit_rows(embeddings.astype(np.float32))
        names = unit_rows((centres + 1.2 * rng.normal(size=centres.shape)).astype(np.float32))
        rows, priors, unseen = labelled(embeddings[:15], truth[:15]), priors_of(names, embeddings), slice(500, None)
        alone, taught = (fitted(rows, names, priors, unlabelled=others) for others in (None, embeddings[15:500]))
        right = [accuracy(process, embeddings[unseen], truth[unseen]) for process in (alone, taught)]
        gains.append(right[1] - right[0])
    assert np.mean(gains) > 0.03 and min(gains) > 0.0


def test_products_with_a_label_are_not_guessed_and_of_very_many_some_are(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, truth, names = clusters(90, 16)
    seen = []
    fit = named_products.fit_process

    def spying(*args, unlabelled, **kwargs):
        seen.append(unlabelled)
        return fit(*args, unlabelled=unlabelled, **kwargs)

    monkeypatch.setattr(named_products, "fit_process", spying)
    rows = np.arange(0, 90, 3)
    for most in (1000, 25):
        monkeypatch.setattr(named_products, "MOST_GUESSED", most)
        process_of(ExclusiveObjective(), products_of(embeddings, names), rows, truth, [], seed=1)
    others = np.delete(embeddings, rows, axis=0)
    # Copies of a labelled product, which show a part of it, have its label.
    monkeypatch.setattr(named_products, "MOST_GUESSED", 1000)
    twice, copies = np.concatenate([embeddings, 0.5 * embeddings]), np.concatenate([rows, rows + 90])
    products = np.tile(np.arange(90), 2)
    process_of(ExclusiveObjective(), products_of(twice, names), copies, np.tile(truth, 2), [], 1, products)
    np.testing.assert_array_equal(seen.pop(), np.delete(twice, copies, axis=0))
    np.testing.assert_array_equal(seen[0], others)
    assert len(seen[1]) == 25 and {row.tobytes() for row in seen[1]} <= {row.tobytes() for row in others}


@pytest.mark.parametrize("right", LEXICAL)
def test_names_words_are_as_loud_as_the_labels_want_it(right: float) -> None:
    embeddings, truth, names = clusters(300, 24, seed=2)
    read = {loud: names if loud == right else names[np.roll(np.arange(CLASSES), 1)] for loud in LEXICAL}
    known = {
        loud: Named(own, priors_of(own, embeddings), np.zeros(24, bool)) for loud, own in read.items()
    }  # fmt: skip
    spread = np.eye(CLASSES, dtype=np.float32)
    none, some = (
        fit_process(labelled(embeddings[:n], truth[:n]), known, spread=spread, temperature=1.0, seed=1) for n in (0, 40)
    )
    assert none.numbers.lexical == LEXICAL[0] and some.numbers.lexical == right
    assert accuracy(some, embeddings[40:], truth[40:]) > 0.9
