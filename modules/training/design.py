"""The design matrix of linear solvers: all features' columns side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from modules.examples import PIXELS, PRESENT, transformed
from modules.features import Feature, image_feature, without_towers
from modules.features.base import Learned
from modules.training.image_columns import Embed, has_text


@dataclass(frozen=True)
class Design:
    """A design matrix and what its columns are.

    Attributes:
      matrix: float32 (rows, columns).
      columns: each feature's range of columns, the image feature's last.
      text_columns: how many of them, the first ones, are not the image feature's.
      embeddings: features whose columns are an embedding already.
    """

    matrix: sparse.csr_matrix
    columns: Mapping[str, tuple[int, int]]
    text_columns: int
    embeddings: frozenset[str] = frozenset()

    @property
    def image_columns(self) -> int:
        """How many columns, the last ones, are the image feature's."""
        return int(self.matrix.shape[1]) - self.text_columns


def columns_of(
    features: Mapping[str, Feature], learned: Mapping[str, Learned], image_width: int = 0
) -> dict[str, tuple[int, int]]:
    """Each feature's column range in the design matrix, the image feature's last."""
    ranges, start = {}, 0
    for name, feature in sorted(features.items(), key=lambda item: item[1].has_tower):
        width = image_width if feature.has_tower else learned[name].size
        ranges[name] = (start, start + width)
        start += width
    return ranges


def design_matrix(
    batches: Iterable[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]],
    features: Mapping[str, Feature],
    learned: Mapping[str, Learned],
    *,
    seed: int,
    unlabelled: float = 1.0,
    embed_images: Embed | None = None,
) -> tuple[sparse.csr_matrix, dict[str, np.ndarray]]:
    """Examples as one sparse float32 matrix (examples, inputs), and their targets.

    Args:
      batches: (model inputs, targets) as arrays.
      seed: of what is drawn.
      unlabelled: share of the examples without a label for any objective that are kept.
      embed_images: of the image feature, whose columns, the last ones, are its embedding times its scale.
    """
    rng = np.random.default_rng(seed)
    blocks: list[sparse.csr_matrix] = []
    targets: dict[str, list[np.ndarray]] = {}
    for inputs, labels in batches:
        kept = np.ones(len(next(iter(labels.values()))), bool)
        if unlabelled < 1.0:
            kept = labelled(labels) | (rng.random(len(kept)) < unlabelled)
        for name, values in labels.items():
            targets.setdefault(name, []).append(values[kept])
        used = inputs
        if not kept.all():
            # One row where none is kept: no network takes an empty batch.
            rows = np.flatnonzero(kept) if kept.any() else np.zeros(1, np.int64)
            used = {name: values[rows] for name, values in inputs.items()}
        block = sparse.hstack(_blocks(used, features, learned, embed_images), format="csr", dtype=np.float32)
        blocks.append(block[: kept.sum()])
    return sparse.vstack(blocks, format="csr"), {name: np.concatenate(parts) for name, parts in targets.items()}


def _blocks(
    inputs: Mapping[str, np.ndarray],
    features: Mapping[str, Feature],
    learned: Mapping[str, Learned],
    embed_images: Embed | None,
) -> list[sparse.csr_matrix]:
    """Each feature's columns of one batch, the image feature's last."""
    columns, image = without_towers(features), image_feature(features)
    parts = [feature.design_block(name, inputs, learned[name].size) for name, feature in columns.items()]
    if image is None:
        return parts
    assert embed_images is not None
    name, scale = image[0], image[1].scale
    vectors = embed_images(inputs[transformed(name, PIXELS)]) * (inputs[transformed(name, PRESENT)] * np.float32(scale))
    if parts:
        # The graph leaves a product's other features out where it has none of them.
        parts = [sparse.diags(has_text(columns, inputs).astype(np.float32)) @ part for part in parts]
    return [*parts, sparse.csr_matrix(vectors)]


def labelled(targets: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which examples have a label for any objective; bool (examples,)."""
    known = [(labels >= 0) if labels.ndim == 1 else (labels >= 0).any(axis=1) for labels in targets.values()]
    return np.logical_or.reduce(known)
