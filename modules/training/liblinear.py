"""Linear models at their exact optimum: by dual coordinate descent (LIBLINEAR, through scikit-learn), or as a
Gaussian process where the model's heads start from what categories' names say.

For a few thousand labels this takes seconds where a gradient method takes minutes, and it is what few labels per
category want: each one-versus-rest problem is solved to its regularised optimum in place of being stopped early.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import keras
import numpy as np
from scipy import sparse

from modules.arrays import Float32Array, IntpArray
from modules.features import Feature, embedding_features, image_feature
from modules.losses.base import Matrix
from modules.models.build import NameInputs, compares_words, words_layer
from modules.models.name_prior import names_layer
from modules.models.projection import EmbeddingColumns, embed, unit_rows
from modules.objectives import ancestor_levels
from modules.training.design import Design, columns_of, design_matrix
from modules.training.gaussian_process import LEXICAL, Numbers
from modules.training.image_columns import embedder, shown_alone
from modules.training.methods.base import Choices
from modules.training.named_products import NamedProducts, NamesInEmbedding, process_of
from modules.training.penalty import LinearHead, cross_validated_penalty
from modules.training.task import TrainingTask
from modules.vision.networks import tower_name

Targets: TypeAlias = dict[str, np.ndarray]

_BATCH = 1024


def fit_exact(
    model: keras.Model, task: TrainingTask, *, c: float | None
) -> tuple[dict[str, float], dict[str, Choices]]:
    """Sets the weights of a linear or LSA model to the optimum of each head's loss with an L2 penalty, in place.

    The embedding of an LSA model is found first, on labelled and unlabelled examples; of a large catalogue not all
    unlabelled ones are looked at. The image tower stays as it is.

    Args:
      c: inverse strength of the L2 penalty (scikit-learn's C); None: of each head the one that ``task`` has from an
        earlier fit, else the one that cross-validation finds.

    Returns:
      Objective to the C of its head, and to what was chosen for its Gaussian process, of those that have one.
    """
    penalties, processes = {}, {}
    design, targets = _design(model, task)
    matrix = task.model.head_inputs(model, design, task.seed)
    matrix, targets, products = _with_towers_alone(matrix, targets, design, task)
    for name in task.objectives:
        labels = targets[name]
        if task.model.knows_names and name in task.sizes.names:
            processes[name] = _fit_named_head(model, name, matrix, labels, products, task, design).choices()
            continue
        table, bias, penalties[name] = _fit_head(name, matrix, labels, task, c)
        task.model.set_head(model, name, table, bias, design)
    return penalties, processes


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
    return Design(matrix, columns, matrix.shape[1] - image_width, frozenset(embedding_features(task.features))), targets


def _with_towers_alone(
    matrix: Matrix, targets: Targets, design: Design, task: TrainingTask
) -> tuple[Matrix, Targets, IntpArray]:  # fmt: skip
    """The matrix with copies of rows that show one tower only: what modality dropout is without steps.

    Returns:
      Also the row that each row shows: its own number, or that of what it is a copy of.
    """
    products = np.arange(matrix.shape[0], dtype=np.intp)
    dropout = task.model.modality_dropout
    text_columns = matrix.shape[1] - design.image_columns
    if image_feature(task.features) is None or not text_columns or dropout == 0:
        return matrix, targets, products
    alone, rows = shown_alone(matrix, text_columns, 1.0 if dropout is None else dropout, task.seed)
    stacked = (
        sparse.vstack([matrix, alone], format="csr") if sparse.issparse(matrix) else np.concatenate([matrix, alone])
    )
    targets = {name: np.concatenate([labels, labels[rows]]) for name, labels in targets.items()}
    return stacked, targets, np.concatenate([products, rows])


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


def _fit_named_head(
    model: keras.Model, name: str, matrix: Matrix, labels: np.ndarray, products: IntpArray, task: TrainingTask,
    design: Design,
) -> Numbers:  # fmt: skip
    """The head of an objective that starts from categories' names; what was chosen for it."""
    objective, embeddings = task.objectives[name], np.asarray(matrix, np.float32)
    columns = EmbeddingColumns.of(design.columns, design.embeddings, design.text_columns)
    tables = [
        model.get_layer(f"projection_{feature}").get_weights()[0]
        for feature, (_, end) in design.columns.items()
        if end <= design.text_columns and feature not in design.embeddings
    ]
    projection = np.concatenate(tables) if tables else np.zeros((0, 0), np.float32)
    names = names_in_embedding(
        task.sizes.names[name], task.features, columns.projected, projection, design.image_columns
    )
    compared = columns.projected if compares_words(task.model, task.features, task.sizes.classes[name]) else None
    known = NamedProducts.of(embeddings, names, None if compared is None else design.matrix[:, compared])
    process = process_of(
        objective, known, objective.labelled(labels), labels,
        ancestor_levels(objective.classes(task.taxonomy), task.taxonomy), task.seed, products,
        None if name not in task.processes else Numbers.of(task.processes[name]),
    )  # fmt: skip
    task.model.set_head(model, name, process.table, process.bias, design)
    layer = model.get_layer(names_layer(name))
    offsets = process.prior.offsets(process.numbers.sharpness, process.numbers.levelled)
    layer.set_weights([process.prior.directions.T, process.named, np.float32(process.numbers.sharpness), offsets])
    if compared is not None:
        words = np.zeros((len(compared), len(process.bias)), np.float32) if process.words is None else process.words
        for feature, ends in design.columns.items():
            if feature not in design.embeddings:
                part = words[slice(*np.searchsorted(compared, ends))]
                model.get_layer(f"{words_layer(name)}_{feature}").set_weights([part])
    return process.numbers


def names_in_embedding(
    names: NameInputs, features: Mapping[str, Feature], projected: IntpArray, projection: Float32Array,
    image_columns: int = 0,
) -> NamesInEmbedding:  # fmt: skip
    """Categories' names where products of that text would be in the embedding, with their words as loud as each of
    :data:`LEXICAL`; pictures are 0 of a name.

    Args:
      projected: the columns of the design matrix that the SVD reads.
      projection: its directions, float32 (projected, width).
      image_columns: how many columns of the embedding, the last ones, are the image feature's.
    """
    embeddings = embedding_features(features)
    encoded = np.concatenate(
        [np.zeros((names.words.shape[0], 0), np.float32), *(names.encoded[f] for f in features if f in embeddings)], 1
    )
    width, end = projection.shape[1], projection.shape[1] + encoded.shape[1]
    words = names.words[:, projected]
    worded = embed(words, projection)
    encoder = np.zeros(end + image_columns, bool)
    encoder[width:end] = True
    loudness = LEXICAL if worded.any() and encoded.any() else LEXICAL[:1]
    placed = {}
    for loud in loudness:
        placed[loud] = np.zeros((len(encoded), len(encoder)), np.float32)
        placed[loud][:, :width] = np.float32(loud) * worded
        placed[loud][:, width:end] = encoded
        placed[loud] = unit_rows(placed[loud])
    return NamesInEmbedding(placed, encoder, words)
