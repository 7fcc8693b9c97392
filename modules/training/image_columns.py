"""The image feature in the design matrix of linear solvers: its embedding as dense columns beside the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from modules.features.base import FeatureSettings
from modules.vision.networks import tower_name

Embed: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Pictures, uint8 (batch, height, width, 3), to embeddings of unit length, float32 (batch, width)."""


def embedder(model: keras.Model, name: str) -> Embed:
    """The model's image tower, as it answers after training."""
    tower = model.get_layer(tower_name(name))
    call = tf.function(lambda pixels: tower(pixels, training=False), reduce_retracing=True)
    return lambda pixels: call(tf.cast(pixels, tf.float32)).numpy()


def has_text(features: Mapping[str, FeatureSettings], inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which products have a value of any of the features, none of which has a tower; bool (batch,).

    As :class:`modules.models.towers.Present` sees it.
    """
    evidence = [feature.evidence(name, inputs) >= 1 for name, feature in features.items()]
    return np.logical_or.reduce([has_value if has_value.ndim == 1 else has_value.any(axis=1) for has_value in evidence])


def shown_alone(
    matrix: sparse.csr_matrix | np.ndarray, text_columns: int, share: float, seed: int
) -> tuple[sparse.csr_matrix | np.ndarray, np.ndarray]:
    """Copies of a share of the products that have text and picture: each by its text alone, and by its picture alone.

    What modality dropout is to a model that is trained step by step: the heads also learn from products that show
    only one tower.

    Args:
      matrix: shape (products, columns), the text's columns first.

    Returns:
      The copies, and which row each is of.
    """
    text, image = matrix[:, :text_columns], matrix[:, text_columns:]
    both = np.flatnonzero(_filled(text) & _filled(image))
    rows = both[np.random.default_rng(seed).random(len(both)) < share]
    if sparse.issparse(matrix):
        copies = sparse.block_diag([text[rows], image[rows]], format="csr", dtype=matrix.dtype)
    else:
        copies = np.zeros((2 * len(rows), matrix.shape[1]), matrix.dtype)
        copies[: len(rows), :text_columns] = text[rows]
        copies[len(rows) :, text_columns:] = image[rows]
    return copies, np.tile(rows, 2)


def _filled(part: sparse.csr_matrix | np.ndarray) -> np.ndarray:
    return np.asarray(part.any(axis=1) if isinstance(part, np.ndarray) else np.diff(part.tocsr().indptr) > 0, bool)
