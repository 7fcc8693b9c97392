"""Linear models at their exact optimum by dual coordinate descent (LIBLINEAR, through scikit-learn).

For a few thousand labels this takes seconds where a gradient method takes minutes, and it is what few labels per
category want: each one-versus-rest problem is solved to its regularised optimum in place of being stopped early.
"""

from __future__ import annotations

from typing import TypeAlias

import keras
import numpy as np
from scipy import sparse

from modules.arrays import Float32Array
from modules.features import image_feature
from modules.losses.base import Matrix
from modules.objectives import ancestor_levels
from modules.training.design import Design, columns_of, design_matrix
from modules.training.image_columns import embedder, shown_alone
from modules.training.penalty import LinearHead, cross_validated_penalty
from modules.training.task import TrainingTask
from modules.vision.networks import tower_name

Targets: TypeAlias = dict[str, np.ndarray]

_BATCH = 1024


def fit_exact(model: keras.Model, task: TrainingTask, *, c: float | None) -> dict[str, float]:
    """Sets the weights of a linear or LSA model to the optimum of each head's loss with an L2 penalty, in place.

    The embedding of an LSA model is found first, on labelled and unlabelled examples; of a large catalogue not all
    unlabelled ones are looked at. The image tower stays as it is.

    Args:
      c: inverse strength of the L2 penalty (scikit-learn's C); None: of each head the one that ``task`` has from an
        earlier fit, else the one that cross-validation finds.

    Returns:
      Objective to the C of its head.
    """
    penalties = {}
    design, targets = _design(model, task)
    matrix = task.model.head_inputs(model, design, task.seed)
    matrix, targets = _with_towers_alone(matrix, targets, design, task)
    for name in task.objectives:
        table, bias, penalties[name] = _fit_head(name, matrix, targets[name], task, c)
        task.model.set_head(model, name, table, bias, design)
    return penalties


def _design(model: keras.Model, task: TrainingTask) -> tuple[Design, Targets]:
    """The design matrix of what is learnt from, and its targets by objective."""
    image, embed_images, image_width = image_feature(task.features), task.embed_images, 0
    if image is not None:
        image_width = model.get_layer(tower_name(image[0])).output.shape[-1]
        embed_images = embed_images or embedder(model, image[0])
    matrix, targets = design_matrix(
        task.train_pass(_BATCH).as_numpy_iterator(), task.features, task.sizes.features, seed=task.seed,
        unlabelled=task.model.unlabelled_share(task.train.count), embed_images=embed_images,
    )  # fmt: skip
    columns = columns_of(task.features, task.sizes.features, image_width)
    return Design(matrix, columns, matrix.shape[1] - image_width), targets


def _with_towers_alone(
    matrix: Matrix, targets: Targets, design: Design, task: TrainingTask
) -> tuple[Matrix, Targets]:  # fmt: skip
    """The matrix with copies of rows that show one tower only: what modality dropout is without steps."""
    dropout = task.model.modality_dropout
    text_columns = matrix.shape[1] - (design.matrix.shape[1] - design.text_columns)
    if image_feature(task.features) is None or not text_columns or dropout == 0:
        return matrix, targets
    alone, rows = shown_alone(matrix, text_columns, 1.0 if dropout is None else dropout, task.seed)
    stacked = (
        sparse.vstack([matrix, alone], format="csr") if sparse.issparse(matrix) else np.concatenate([matrix, alone])
    )
    return stacked, {name: np.concatenate([labels, labels[rows]]) for name, labels in targets.items()}


def _fit_head(
    name: str, matrix: Matrix, labels: np.ndarray, task: TrainingTask, c: float | None
) -> tuple[Float32Array, Float32Array, float]:
    """Weights (inputs, classes) and biases (classes,) of one objective's head, and its C."""
    objective = task.objectives[name]
    rows = objective.labelled(labels)
    head = LinearHead(
        objective, task.sizes.classes[name], task.seed,
        ancestor_levels(objective.classes(task.taxonomy), task.taxonomy),
    )  # fmt: skip
    matrix, labels = matrix[rows], labels[rows]
    if c is None:
        c = task.penalties.get(name) or cross_validated_penalty(head, matrix, labels, task.model.penalties)
    return *head.fit(matrix, labels, c), c
