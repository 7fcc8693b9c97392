"""The linear model's exact optimum by dual coordinate descent (LIBLINEAR, through scikit-learn).

For a few thousand labels this takes seconds where a gradient method takes minutes, and it is what few labels per
category want: each one-versus-rest problem is solved to its regularised optimum in place of being stopped early.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from modules.preprocessing.sizes import text_size
from modules.settings.features import CategoricalFeature, DenseFeature, TextFeature
from modules.settings.workflow import Workflow


def columns_of(workflow: Workflow, categorical: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Each feature's column range in the design matrix."""
    ranges, start = {}, 0
    for name, feature in workflow.features.items():
        if isinstance(feature, TextFeature):
            width = text_size(feature)
        elif isinstance(feature, CategoricalFeature):
            width = categorical[name]
        else:
            width = feature.dimension + 1 if isinstance(feature, DenseFeature) else 2
        ranges[name] = (start, start + width)
        start += width
    return ranges


def design_matrix(
    dataset: tf.data.Dataset, workflow: Workflow, categorical: Mapping[str, int]
) -> tuple[sparse.csr_matrix, dict[str, np.ndarray]]:
    """All examples of ``dataset`` as one sparse float32 matrix (examples, inputs), and their targets."""
    ranges = columns_of(workflow, categorical)
    blocks: list[sparse.csr_matrix] = []
    targets: dict[str, list[np.ndarray]] = {name: [] for name in workflow.objectives}
    for inputs, labels in dataset.as_numpy_iterator():
        parts = []
        for name, feature in workflow.features.items():
            width = ranges[name][1] - ranges[name][0]
            if isinstance(feature, TextFeature):
                ids, weights = inputs[f"{name}/ids"], inputs[f"{name}/weights"]
                rows, at = np.nonzero(ids >= 0)
                parts.append(sparse.csr_matrix((weights[rows, at], (rows, ids[rows, at])), (len(ids), width)))
            elif isinstance(feature, CategoricalFeature):
                index = inputs[f"{name}/index"]
                ones = np.ones(len(index), np.float32)
                parts.append(sparse.csr_matrix((ones, (np.arange(len(index)), index)), (len(index), width)))
            else:
                key = f"{name}/vector" if isinstance(feature, DenseFeature) else f"{name}/price"
                parts.append(sparse.csr_matrix(inputs[key]))
        blocks.append(sparse.hstack(parts, format="csr", dtype=np.float32))
        for name in targets:
            targets[name].append(labels[name])
    return sparse.vstack(blocks, format="csr"), {name: np.concatenate(parts) for name, parts in targets.items()}


def fit_exact(
    model: keras.Model,
    workflow: Workflow,
    dataset: tf.data.Dataset,
    categorical: Mapping[str, int],
) -> None:
    """Sets a linear model's weights to the optimum of each head's loss with an L2 penalty, in place.

    The penalty's strength is ``training.liblinear_c`` (scikit-learn's C, in units of 1 / penalty). A multi-label
    head is one binary problem per category over the products with a known yes or no; a category that has only one
    of the two gets a constant.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    matrix, targets = design_matrix(dataset, workflow, categorical)
    ranges = columns_of(workflow, categorical)
    c = workflow.training.liblinear_c
    for name, objective in workflow.objectives.items():
        labels = targets[name]
        balanced = "balanced" if objective.class_weights == "balanced" else None
        if objective.kind == "exclusive":
            known = labels >= 0
            classes = model.get_layer(f"{name}_bias").bias.shape[0]
            table = np.zeros((matrix.shape[1], classes), np.float32)
            # A class without any label must never win.
            bias = np.full(classes, -10.0, np.float32)
            present = np.unique(labels[known])
            if len(present) == 1:
                bias[present[0]] = 0.0
            elif len(present) > 1:
                if objective.loss == "squared_hinge":
                    solver = LinearSVC(C=c, class_weight=balanced, random_state=workflow.seed)
                else:
                    # One binary problem per class, like the SVC.
                    logistic = LogisticRegression(
                        C=c, class_weight=balanced, solver="liblinear", random_state=workflow.seed
                    )
                    solver = OneVsRestClassifier(logistic)
                solver.fit(matrix[known], labels[known])
                coefficients, intercepts = _both_sides(solver, len(present))
                table[:, present], bias[present] = coefficients.T, intercepts
        else:
            classes = labels.shape[1]
            table, bias = np.zeros((matrix.shape[1], classes), np.float32), np.zeros(classes, np.float32)
            known_rows = np.flatnonzero((labels >= 0).any(axis=1))
            rows = matrix[known_rows]
            for index in range(classes):
                column = labels[known_rows, index]
                # Without weight a "no" is no label.
                used = (column > 0.5) if objective.negative_weight == 0.0 else (column >= 0)
                yes = column[used] > 0.5
                if not used.any() or yes.all() or not yes.any():
                    bias[index] = 5.0 if used.any() and yes.all() else -5.0
                    continue
                weights = np.where(yes, 1.0, objective.negative_weight)
                solver = LogisticRegression(C=c, class_weight=balanced, solver="liblinear", random_state=workflow.seed)
                solver.fit(rows[used] if not used.all() else rows, yes, sample_weight=weights)
                table[:, index], bias[index] = solver.coef_[0], solver.intercept_[0]
        for feature, (start, end) in ranges.items():
            model.get_layer(f"{name}_wide_{feature}").set_weights([table[start:end]])
        model.get_layer(f"{name}_bias").set_weights([bias])


def _both_sides(solver, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients with one row per class; with two classes scikit-learn gives only the second one's."""
    if hasattr(solver, "estimators_"):
        coefficients = np.vstack([one.coef_ for one in solver.estimators_])
        intercepts = np.concatenate([one.intercept_ for one in solver.estimators_])
    else:
        coefficients, intercepts = solver.coef_, solver.intercept_
    if classes == 2:
        return np.vstack([-coefficients, coefficients]), np.concatenate([-intercepts, intercepts])
    return coefficients, intercepts
