"""The Gaussian process on categories' names beside oracles that solve it directly, label by label."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct

from modules.models.name_prior import SHARPNESS
from modules.models.projection import unit_rows
from modules.objectives import ExclusiveObjective
from modules.training.gaussian_process import (
    BEFORE_LABELS,
    FADES,
    LEAST_LABELS,
    LEXICAL,
    LOUDNESS,
    NAME_WEIGHTS,
    NOISE,
    TEMPERATURES,
    Numbers,
    Process,
    fit_process,
    spread_over,
)
from modules.training.labelled import Labelled, Named, Priors
from modules.training.named_products import NamedProducts, NamesInEmbedding, process_of

CONSTANT = 0.1
CLASSES = 4


def clusters(count: int, width: int, classes: int = CLASSES, seed: int = 0, noise: float = 1.0):
    """Unit embeddings, their classes, and names near the clusters' centres; ``noise``: length of what is random."""
    rng = np.random.default_rng(seed)
    centres = unit_rows(rng.normal(size=(classes, width)))
    truth = rng.integers(classes, size=count)
    embeddings = unit_rows(centres[truth] + noise * width**-0.5 * rng.normal(size=(count, width)))
    names = unit_rows(centres + width**-0.5 * rng.normal(size=(classes, width)))
    return embeddings.astype(np.float32), truth, names.astype(np.float32)


def labelled(embeddings, labels, groups=None, weights=None) -> Labelled:
    count = len(labels)
    return Labelled(
        embeddings, np.asarray(labels, np.intp), np.arange(count) if groups is None else np.asarray(groups),
        np.ones(count) if weights is None else np.asarray(weights, float),
    )  # fmt: skip


def products_of(embeddings, names) -> NamedProducts:
    """With names that an encoder alone has read."""
    none = sparse.csr_matrix((len(names), 0), dtype=np.float32)
    return NamedProducts.of(embeddings, NamesInEmbedding({LEXICAL[0]: names}, names.any(axis=0), none))


def priors_of(names, embeddings) -> Priors:
    return products_of(embeddings, names).named[LEXICAL[0]].priors


def named_words(names, rows: Labelled) -> sparse.csr_matrix | None:
    """Words of the names, where rows have some: one of all products' words each."""
    if rows.words is None:
        return None
    categories, width = np.arange(len(names)), rows.words.shape[1]
    ones = np.full(len(names), 0.5, np.float32)
    return sparse.csr_matrix((ones, (categories, 3 * categories % max(width, 1))), (len(names), width))


def fitted(
    rows: Labelled, names, priors: Priors, spread=None, temperature: float = 1.0, unlabelled=None
) -> Process:  # fmt: skip
    spread = np.eye(len(names), dtype=np.float32) if spread is None else spread
    known = {LEXICAL[0]: Named(names, priors, names.any(axis=0), named_words(names, rows))}
    return fit_process(rows, known, spread=spread, temperature=temperature, seed=1, unlabelled=unlabelled)


def posterior(rows: Labelled, names, priors, numbers, at, words=None):
    """Posterior means by scikit-learn, before relatives' scores are added; a row that counts w times has noise / w.

    The words' kernel is that of further inputs, ``words`` those of ``at``.
    """
    noise, sharpness, weight, _, examples, loudness, fade, whitened, levelled, _, factor = numbers
    prior = priors[whitened]
    counts = np.array([rows.weights[rows.labels == category].sum() for category in range(len(names))])
    weight = weight * np.ones(len(names)) if np.isinf(fade) else weight * fade / (fade + counts)
    added = np.arange(len(names)) if examples else np.setdiff1d(np.arange(len(names)), rows.labels)
    inputs = np.concatenate([rows.embeddings, names[added]]).astype(float)
    targets = np.eye(len(names))[np.concatenate([rows.labels, added])]
    own = weight * prior.probabilities(inputs.astype(np.float32), sharpness, levelled)
    loud = np.where(names.any(axis=0), loudness, 1.0)
    inputs, asked = inputs * loud, at * loud
    if words is not None:
        of_rows = np.concatenate([rows.words.toarray(), named_words(names, rows)[added].toarray()])
        inputs = np.concatenate([inputs, factor**0.5 * of_rows], axis=1)
        asked = np.concatenate([asked, factor**0.5 * words.toarray()], axis=1)
    each = noise / np.concatenate([rows.weights, np.ones(len(added))])
    kernel = DotProduct(CONSTANT**0.5, "fixed")
    means = []
    for column in range(len(names)):
        oracle = GaussianProcessRegressor(kernel, alpha=each, optimizer=None)
        means.append(oracle.fit(inputs, targets[:, column] - own[:, column]).predict(asked))
    return np.stack(means, axis=1) + weight * prior.probabilities(at, sharpness, levelled)


@pytest.mark.parametrize("width", [3, 60], ids=["more rows than columns", "more columns than rows"])
@pytest.mark.parametrize("count", [1, 12, LEAST_LABELS + 5])
def test_it_is_the_posterior(width: int, count: int) -> None:
    embeddings, truth, names = clusters(count + 30, width)
    priors = priors_of(names, embeddings)
    weights = np.random.default_rng(2).uniform(0.2, 3.0, count)
    rows = labelled(embeddings[:count], truth[:count], weights=weights)
    spread = spread_over([[0, 0, 1, -1]], CLASSES, 0.3)
    process = fitted(rows, names, priors, spread, temperature=0.7)
    numbers = process.numbers
    assert (numbers == BEFORE_LABELS and np.isnan(process.likelihood)) == (count < LEAST_LABELS)
    expected = 0.7 / numbers.temperature * posterior(rows, names, priors, numbers, embeddings) @ spread
    np.testing.assert_allclose(process.logits(embeddings), expected, atol=2e-3)
    counts = np.bincount(rows.labels, weights, CLASSES)
    faded = numbers.weight * (1.0 if np.isinf(numbers.fade) else numbers.fade / (numbers.fade + counts))
    np.testing.assert_allclose(process.named, (0.7 / numbers.temperature * faded * spread.T).T, rtol=1e-5)


@pytest.mark.parametrize("width", [3, 40], ids=["more rows than columns", "more columns than rows"])
def test_the_numbers_are_those_of_the_greatest_likelihood_of_labels_left_out(width: int) -> None:
    """Every label is left out by a fit without it and its twins, for every choice of the numbers."""
    embeddings, truth, names = clusters(26, width, seed=3, noise=1.5)
    groups = np.array([*range(22), 0, 0, 5, 9])
    embeddings, truth = embeddings[groups], truth[groups]
    weights = np.where(truth == 1, 2.0, 0.7)
    priors, spread = priors_of(names, embeddings), spread_over([[0, 0, 1, 1]], CLASSES, 0.2)
    process = fitted(labelled(embeddings, truth, groups, weights), names, priors, spread)
    inputs = np.concatenate([embeddings, names]).astype(float)
    targets = np.eye(CLASSES)[np.concatenate([truth, np.arange(CLASSES)])]
    every = np.append(weights, np.ones(CLASSES))
    likelihoods = {}
    for noise, sharpness, (weight, examples), loudness, fade, whitened, levelled in itertools.product(
        NOISE, SHARPNESS, [*((weight, True) for weight in NAME_WEIGHTS), (0.0, False)], LOUDNESS, FADES, (True, False),
        (True, False),
    ):  # fmt: skip
        loud = inputs * np.where(names.any(axis=0), loudness, 1.0)
        kernel = loud @ loud.T + CONSTANT
        scores = np.zeros((len(truth), CLASSES))
        for row, group in enumerate(groups):
            others = groups != group
            counts = np.bincount(truth[others], weights[others], CLASSES)
            faded = weight * (np.ones(CLASSES) if np.isinf(fade) else fade / (fade + counts))
            named = faded * priors[whitened].probabilities(inputs.astype(np.float32), sharpness, levelled)
            kept = np.flatnonzero(np.append(groups, np.full(CLASSES if examples else 0, -1)) != group)
            matrix = kernel[np.ix_(kept, kept)] + np.diag(noise / every[kept])
            scores[row] = named[row] + kernel[row, kept] @ np.linalg.solve(matrix, (targets - named)[kept])
        for own in TEMPERATURES:
            likely = log_softmax(scores @ spread / own, axis=1)[np.arange(len(truth)), truth]
            numbers = Numbers(noise, sharpness, weight, own, examples, loudness, fade, whitened, levelled)
            likelihoods[numbers] = np.average(likely, weights=weights)
    steps = {
        numbers: abs(np.log2(numbers.noise / 0.4)) + abs(np.log2(numbers.sharpness / 2))
        + abs(np.log2(numbers.temperature / 0.16)) + abs(np.log2(numbers.loudness)) + 4 * (1 - numbers.weight)
        + FADES.index(numbers.fade) + (not numbers.whitened)
        for numbers in likelihoods
    }  # fmt: skip
    values = {numbers: likelihood - steps[numbers] / weights.sum() for numbers, likelihood in likelihoods.items()}
    assert values[process.numbers] == pytest.approx(max(values.values()), abs=1e-4)
    assert process.likelihood == pytest.approx(likelihoods[process.numbers], abs=1e-4)


def accuracy(process: Process, embeddings, truth) -> float:
    return float((process.logits(embeddings).argmax(axis=1) == truth).mean())


@pytest.mark.parametrize("seed", range(5))
def test_names_that_mislead_are_turned_down_by_labels(seed: int) -> None:
    classes = 8
    embeddings, truth, names = clusters(680, 32, classes, seed)
    known, rest = slice(0, 80), slice(80, None)
    order = np.roll(np.arange(classes), 3)
    rows = labelled(embeddings[known], truth[known])
    told, misled = (fitted(rows, given, priors_of(given, embeddings)) for given in (names, names[order]))
    # Names of nothing: what the labels say alone.
    silent = np.zeros_like(names)
    alone = fitted(rows, silent, priors_of(silent, embeddings))
    counts = np.bincount(truth[known], minlength=classes)
    # Most of it is gone, or it has faded to what ten labels of a category outweigh.
    assert misled.numbers.faded(counts).max() < 0.5
    assert told.numbers.weight > 0.0 and told.numbers.examples
    right, without = accuracy(told, embeddings[rest], truth[rest]), accuracy(alone, embeddings[rest], truth[rest])
    assert accuracy(misled, embeddings[rest], truth[rest]) >= without - 0.005
    assert right >= without
    none = labelled(embeddings[:0], truth[:0])
    priors = priors_of(names, embeddings)
    before = fitted(none, names, priors)
    says = priors[True].probabilities(embeddings, BEFORE_LABELS.sharpness, levelled=False)
    np.testing.assert_array_equal(before.logits(embeddings).argmax(1), says.argmax(1))
    # Without labels misleading names cannot be told from others.
    shuffled = fitted(none, names[order], priors_of(names[order], embeddings))
    assert accuracy(before, embeddings, truth) > 0.9 and accuracy(shuffled, embeddings, truth) < 0.1


def test_a_category_without_a_label_is_told_by_its_name() -> None:
    embeddings, truth, names = clusters(600, 24, 6, seed=4)
    known = np.flatnonzero(truth != 5)[:60]
    process = fitted(labelled(embeddings[known], truth[known]), names, priors_of(names, embeddings))
    unseen = truth == 5
    assert accuracy(process, embeddings[unseen], truth[unseen]) > 0.6
    assert accuracy(process, embeddings[~unseen], truth[~unseen]) > 0.9


EDGES = {
    "one class": (1, 30, 8, "names"), "one label": (5, 1, 8, "names"), "equal names": (5, 40, 8, "equal"),
    "names of nothing": (5, 40, 8, "none"), "more labels than dimensions": (3, 300, 2, "names"),
    "more classes than dimensions": (50, 30, 4, "names"),
}  # fmt: skip


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("same", [False, True], ids=["", "all of one class"])
def test_edges_give_finite_scores_and_unlabelled_products_no_preference(edge: str, same: bool) -> None:
    classes, count, width, kind = EDGES[edge]
    embeddings, truth, names = clusters(count + 50, width, classes)
    embeddings[::7] = 0.0
    names = {"names": names, "equal": np.repeat(names[:1], classes, axis=0), "none": np.zeros_like(names)}[kind]
    labels = np.zeros_like(truth) if same else truth
    priors = priors_of(names, embeddings)
    assert np.isfinite(priors[True].directions).all()
    process = fitted(labelled(embeddings[:count], labels[:count]), names, priors)
    logits = process.logits(embeddings)
    assert np.isfinite(logits).all() and logits.shape == (count + 50, classes)
    if kind != "names":
        # What does not tell the categories apart says the same of each, also where rounding differs.
        assert np.ptp(priors[True].probabilities(embeddings, 4.0, levelled=True), axis=1).max() < 0.02
    empty = fitted(labelled(embeddings[:0], truth[:0]), names, priors).logits(embeddings)
    assert np.ptp(empty[::7], axis=1).max() < 1e-4
    if same and count >= LEAST_LABELS and classes < 50:
        assert (logits[embeddings.any(axis=1)].argmax(axis=1) == 0).mean() > 0.8


def test_copies_of_a_product_do_not_answer_for_it() -> None:
    """A resample or a product shown by one tower repeats labels: what they say is known once."""
    embeddings, truth, names = clusters(40, 200, 4, seed=8, noise=40.0)
    everything = np.concatenate([embeddings] * 3)
    priors = priors_of(names, embeddings)
    once = fitted(labelled(embeddings, truth), names, priors)
    apart = fitted(labelled(everything, np.tile(truth, 3)), names, priors)
    objective = ExclusiveObjective(loss="cross_entropy")
    rows = np.arange(120)
    together = process_of(objective, products_of(everything, names), rows, np.tile(truth, 3), [], 1)
    assert apart.likelihood > -0.2 > once.likelihood
    assert abs(together.likelihood - once.likelihood) < 0.3
    # The same where the copies are other rows: shown by a part of their columns.
    changed = everything.copy()
    changed[40:80, :100], changed[80:, 100:] = 0.0, 0.0
    shown = process_of(
        objective, products_of(changed, names), rows, np.tile(truth, 3), [], 1, np.tile(np.arange(40), 3)
    )
    loose = process_of(objective, products_of(changed, names), rows, np.tile(truth, 3), [], 1)
    assert shown.likelihood < loose.likelihood - 0.2


def test_balanced_classes_count_alike() -> None:
    rng = np.random.default_rng(9)
    embeddings, truth, _ = clusters(300, 12, 3, seed=9, noise=4.0)
    kept = np.flatnonzero((truth == 0) | (rng.random(300) < 0.1))
    names = np.zeros((3, 12), np.float32)
    recalls = {}
    for setting in ("none", "balanced"):
        process = process_of(
            ExclusiveObjective(class_weights=setting), products_of(embeddings, names), kept, truth, [], 1
        )
        rare = truth > 0
        recalls[setting] = accuracy(process, embeddings[rare], truth[rare])
    assert recalls["balanced"] > recalls["none"] + 0.05


def test_a_thousand_categories_and_many_labels_fit_into_memory() -> None:
    import tracemalloc

    embeddings, truth, names = clusters(12_000, 16, 1300, seed=5)
    priors = priors_of(names, embeddings)
    tracemalloc.start()
    process = fitted(labelled(embeddings, truth), names, priors)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # One row of all categories per label would be 125 MB each, and there are several such tables.
    assert peak < 700e6 and np.isfinite(process.table).all()


def test_relatives_scores_are_added() -> None:
    assert spread_over([], 3, 0.5).tolist() == np.eye(3).tolist()
    assert spread_over([[0, 0, 1, -1], [0, 1, -1, -1]], 4, 0.5).tolist() == [
        [2.0, 0.5, 0.0, 0.0], [0.5, 2.0, 0.0, 0.0], [0.0, 0.0, 1.5, 0.0], [0.0, 0.0, 0.0, 1.0],
    ]  # fmt: skip
