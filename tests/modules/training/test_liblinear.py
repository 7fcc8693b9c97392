"""The exact solver against scikit-learn's own decision values on the same matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from modules.models.build import build_model
from modules.training.data import batches
from modules.training.design import design_matrix
from modules.training.liblinear import fit_exact
from modules.training.run import input_sizes
from tests.modules.training.shared import Built, class_counts, task_of, tiny

FEATURES = ("title", "brand", "price", "image")


def fitted(built: Built, objectives: dict, c: float = 1.0):
    """Logits on the eval split, and (matrix, targets) of both splits."""
    settings = tiny(
        FEATURES, objectives=objectives, model={"kind": "linear"},
        training={"solver": "liblinear", "liblinear_c": c, "mixed_precision": "off"},
    )  # fmt: skip
    counts = {name: class_counts()["exclusive" if o.kind == "exclusive" else "rule_based"]
              for name, o in settings.objectives.items()}  # fmt: skip
    sizes = input_sizes(settings, built.transform, counts)
    model = build_model(settings, sizes)
    train = batches([built.files["train"]], settings.features, settings.objectives, counts, batch_size=64)
    held_out = batches([built.files["eval"]], settings.features, settings.objectives, counts, batch_size=64)
    fit_exact(model, task_of(settings, sizes, [built.files["train"]], 0), c=settings.training.liblinear_c)
    parts = [{name: model(inputs)[name].numpy() for name in settings.objectives} for inputs, _ in held_out]
    logits = {name: np.concatenate([part[name] for part in parts]) for name in settings.objectives}
    both = (
        design_matrix(data.as_numpy_iterator(), settings.features, sizes.features, seed=settings.seed)
        for data in (train, held_out)
    )
    return logits, *both, settings.seed


def test_design_matrix_is_the_transformed_examples(built):
    _, (matrix, targets), _, _ = fitted(built, {"exclusive": {"kind": "exclusive"}})
    names = ["title/ids", "title/weights", "brand/index", "price/price", "image/vector", "label/exclusive"]
    rows = built.columns("train", names)
    words, brands = 200 + 4096, 2 + 2
    assert matrix.shape == (240, words + brands + 2 + 5) and sparse.issparse(matrix)
    for at in range(0, 240, 17):
        expected = np.zeros(matrix.shape[1])
        expected[rows[at]["title/ids"].astype(int)] = rows[at]["title/weights"]
        expected[words + int(rows[at]["brand/index"][0])] = built.workflow.features["brand"].scale
        expected[words + brands :] = [*rows[at]["price/price"], *rows[at]["image/vector"]]
        np.testing.assert_allclose(matrix[at].toarray()[0], expected, rtol=1e-6)
    assert targets["exclusive"].tolist() == [int(row["label/exclusive"][0]) for row in rows]


@pytest.mark.parametrize("c", [1.0, 0.05])
def test_squared_hinge_is_linear_svc(built, c):
    logits, (matrix, targets), (held_out, _), seed = fitted(
        built, {"exclusive": {"kind": "exclusive", "loss": "squared_hinge"}}, c
    )
    known = targets["exclusive"] >= 0
    solver = LinearSVC(C=c, random_state=seed).fit(matrix[known], targets["exclusive"][known])
    np.testing.assert_allclose(logits["exclusive"], solver.decision_function(held_out), atol=1e-4)


def test_cross_entropy_with_class_weights_is_logistic_regression_per_class(built):
    logits, (matrix, targets), (held_out, _), seed = fitted(
        built, {"exclusive": {"kind": "exclusive", "class_weights": "balanced"}}
    )
    known = targets["exclusive"] >= 0
    for index in range(4):
        solver = LogisticRegression(solver="liblinear", class_weight="balanced", random_state=seed)
        solver.fit(matrix[known], targets["exclusive"][known] == index)
        np.testing.assert_allclose(logits["exclusive"][:, index], solver.decision_function(held_out), atol=1e-4)


@pytest.mark.parametrize("negative_weight", [1.0, 0.25])
def test_multi_label_is_logistic_regression_per_category(built, negative_weight):
    logits, (matrix, targets), (held_out, _), seed = fitted(
        built, {"rule_based": {"kind": "multi_label", "negative_weight": negative_weight}}
    )
    labels = targets["rule_based"]
    known = (labels >= 0).all(axis=1)
    assert 0 < known.sum() < len(known)
    for index in range(labels.shape[1]):
        yes = labels[known, index] > 0.5
        solver = LogisticRegression(solver="liblinear", random_state=seed)
        solver.fit(matrix[known], yes, sample_weight=np.where(yes, 1.0, negative_weight))
        np.testing.assert_allclose(logits["rule_based"][:, index], solver.decision_function(held_out), atol=1e-4)


def test_a_category_without_any_no_is_never_predicted(built):
    logits, *_ = fitted(built, {"rule_based": {"kind": "multi_label", "negative_weight": 0.0}})
    assert (logits["rule_based"] == -5.0).all()
