"""The Gaussian process that compares words beside the embedding, beside oracles that solve it label by label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax

from modules.features.text import TextFeature
from modules.models.auto import FEW_LABELS, WORDS_FROM, AutoModel
from modules.models.build import MOST_COMPARED, compares_words
from modules.models.gaussian_process import GaussianProcessModel
from modules.settings.workflow import Workflow
from modules.training import gaussian_process
from modules.training.gaussian_process import NOISE, TEMPERATURES, WORDS, spread_over
from modules.training.labelled import Labelled
from tests.modules.training.test_gaussian_process import (
    CLASSES,
    clusters,
    fitted,
    labelled,
    posterior,
    priors_of,
)

COUNT = 30


def worded(count: int, told: float, seed: int = 0) -> tuple[Labelled, sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Labelled products that the embedding tells little of, their words, truth and names of the categories.

    Args:
      told: share of the products that have a word of their category; the others' words are of any.
    """
    embeddings, truth, names = clusters(count, 20, seed=seed, noise=3.0)
    rng = np.random.default_rng(seed + 100)
    group = np.where(rng.random(count) < told, truth, rng.integers(CLASSES, size=count))
    words = np.zeros((count, 5 * CLASSES), np.float32)
    words[np.arange(count), 5 * group + rng.integers(5, size=count)] = 1.0
    weights = rng.uniform(0.5, 2.0, count)
    rows = replace(labelled(embeddings, truth, weights=weights), words=sparse.csr_matrix(words))
    return rows, rows.words, truth, names


def without_words(rows: Labelled) -> Labelled:
    return replace(rows, words=None)


@pytest.mark.parametrize("told", [1.0, 0.0], ids=["words tell", "words tell nothing"])
def test_it_is_the_posterior_with_both_kernels(told: float) -> None:
    rows, words, _, names = worded(COUNT + 40, told)
    priors, spread = priors_of(names, rows.embeddings), spread_over([[0, 0, 1, -1]], CLASSES, 0.3)
    some = rows.at(slice(COUNT))
    process = fitted(some, names, priors, spread, temperature=0.7)
    numbers = process.numbers
    expected = posterior(some, names, priors, numbers, rows.embeddings, words) @ spread * 0.7 / numbers.temperature
    np.testing.assert_allclose(process.logits(rows.embeddings, words), expected, atol=2e-3)
    assert (numbers.words > WORDS[0]) == (told == 1.0)


def test_words_are_as_loud_as_the_labels_want_it() -> None:
    """Every label is left out by a fit without it, for each factor, noise and temperature."""
    rows, _, truth, names = worded(28, 1.0, seed=4)
    priors, spread = priors_of(names, rows.embeddings), spread_over([[0, 0, 1, 1]], CLASSES, 0.2)
    base = fitted(without_words(rows), names, priors, spread).numbers
    values = {}
    for factor in WORDS:
        for noise in NOISE:
            scores = []
            for row in range(len(truth)):
                others = np.setdiff1d(np.arange(len(truth)), row)
                # Whether a name is an example does not depend on the label that is left out.
                numbers = base._replace(noise=noise, words=factor)
                at = rows.at(np.array([row]))
                scores.append(posterior(rows.at(others), names, priors, numbers, at.embeddings, at.words)[0] @ spread)
            for temperature in TEMPERATURES:
                chosen = base._replace(noise=noise, words=factor, temperature=temperature)
                own = log_softmax(np.array(scores) / temperature, axis=1)[np.arange(len(truth)), truth]
                likelihood = np.average(np.maximum(own, np.log(1e-12)), weights=rows.weights)
                values[chosen] = likelihood - gaussian_process.STEP * chosen.steps() / rows.weights.sum()
    process = fitted(rows, names, priors, spread)
    assert base.examples
    assert values[process.numbers] == pytest.approx(max(values.values()), abs=1e-4)
    assert process.numbers.words > WORDS[0]


def test_words_help_where_they_tell_what_the_embedding_does_not() -> None:
    rows, words, truth, names = worded(200, 0.95, seed=2)
    priors, unseen = priors_of(names, rows.embeddings), slice(80, 200)
    with_them = fitted(rows.at(slice(80)), names, priors)
    without = fitted(without_words(rows).at(slice(80)), names, priors)
    right = (with_them.logits(rows.embeddings[unseen], words[unseen]).argmax(axis=1) == truth[unseen]).mean()
    assert right > 0.85 > (without.logits(rows.embeddings[unseen]).argmax(axis=1) == truth[unseen]).mean() + 0.1


def test_with_very_many_labels_words_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _, _, names = worded(COUNT, 1.0)
    priors = priors_of(names, rows.embeddings)
    monkeypatch.setattr(gaussian_process, "MOST_LABELS", COUNT - 1)
    process, plain = fitted(rows, names, priors), fitted(without_words(rows), names, priors)
    assert process.words is None and process.numbers == plain.numbers
    np.testing.assert_array_equal(process.table, plain.table)


@pytest.mark.parametrize(
    ("labels", "compares"), [(0, False), (WORDS_FROM - 1, False), (WORDS_FROM, True), (FEW_LABELS - 1, True)]
)
def test_auto_compares_words_from_so_many_labels_on(labels: int, compares: bool) -> None:
    model, _ = AutoModel().chosen(labels, 10, Workflow.model_validate({"name": "shop"}))
    assert model.kind == "gaussian_process" and model.compares_words == compares


@pytest.mark.parametrize("classes", [MOST_COMPARED, MOST_COMPARED + 1])
def test_a_table_of_words_for_very_many_categories_is_not_made(classes: int) -> None:
    model = GaussianProcessModel(words=True)
    assert compares_words(model, {"title": TextFeature()}, classes) == (classes <= MOST_COMPARED)
    assert not compares_words(GaussianProcessModel(), {"title": TextFeature()}, classes)
