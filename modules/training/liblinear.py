"""Linear models at their exact optimum by dual coordinate descent (LIBLINEAR, through scikit-learn).

For a few thousand labels this takes seconds where a gradient method takes minutes, and it is what few labels per
category want: each one-versus-rest problem is solved to its regularised optimum in place of being stopped early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from modules.features import image_feature, without_towers
from modules.features.base import Learned
from modules.losses.base import Matrix
from modules.models.build import LSA, projection_width
from modules.settings.workflow import Workflow
from modules.training.image_columns import Embed, embedder, has_text, shown_alone
from modules.training.projection import ROWS, embed, fit_projection
from modules.vision.networks import tower_name


def columns_of(workflow: Workflow, learned: Mapping[str, Learned], image_width: int = 0) -> dict[str, tuple[int, int]]:
    """Each feature's column range in the design matrix, the image feature's last."""
    ranges, start = {}, 0
    for name, feature in sorted(workflow.features.items(), key=lambda item: item[1].has_tower):
        width = image_width if feature.has_tower else learned[name].size
        ranges[name] = (start, start + width)
        start += width
    return ranges


def design_matrix(
    batches: Iterable[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]],
    workflow: Workflow,
    learned: Mapping[str, Learned],
    *,
    unlabelled: float = 1.0,
    embed_images: Embed | None = None,
) -> tuple[sparse.csr_matrix, dict[str, np.ndarray]]:
    """Examples as one sparse float32 matrix (examples, inputs), and their targets.

    Args:
      batches: (model inputs, targets) as arrays.
      unlabelled: share of the examples without a label for any objective that are kept, drawn by the workflow's seed.
      embed_images: of the image feature, whose columns, the last ones, are its embedding times its scale.
    """
    features, image = without_towers(workflow.features), image_feature(workflow.features)
    rng = np.random.default_rng(workflow.seed)
    blocks: list[sparse.csr_matrix] = []
    targets: dict[str, list[np.ndarray]] = {name: [] for name in workflow.objectives}
    for inputs, labels in batches:
        kept = np.ones(len(next(iter(labels.values()))), bool)
        if unlabelled < 1.0:
            kept = labelled(labels) | (rng.random(len(kept)) < unlabelled)
        for name in targets:
            targets[name].append(labels[name][kept])
        if not kept.all():
            # One row where none is kept: no network takes an empty batch.
            rows = np.flatnonzero(kept) if kept.any() else np.zeros(1, np.int64)
            inputs = {name: values[rows] for name, values in inputs.items()}
        parts = [one.design_block(name, inputs, learned[name].size) for name, one in features.items()]
        if image is not None:
            assert embed_images is not None
            name, scale = image[0], image[1].scale
            vectors = embed_images(inputs[f"{name}/pixels"]) * (inputs[f"{name}/present"] * np.float32(scale))
            if parts:
                # The graph leaves a product's other features out where it has none of them.
                parts = [sparse.diags(has_text(features, inputs).astype(np.float32)) @ part for part in parts]
            parts.append(sparse.csr_matrix(vectors))
        blocks.append(sparse.hstack(parts, format="csr", dtype=np.float32)[: kept.sum()])
    return sparse.vstack(blocks, format="csr"), {name: np.concatenate(parts) for name, parts in targets.items()}


def labelled(targets: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which examples have a label for any objective; bool (examples,)."""
    known = [(labels >= 0) if labels.ndim == 1 else (labels >= 0).any(axis=1) for labels in targets.values()]
    return np.logical_or.reduce(known)


def fit_exact(
    model: keras.Model,
    workflow: Workflow,
    dataset: tf.data.Dataset,
    learned: Mapping[str, Learned],
    *,
    examples: int = 0,
    ancestors: Mapping[str, Sequence[Sequence[int]]] | None = None,
    embed_images: Embed | None = None,
) -> None:
    """Sets the weights of a linear or LSA model to the optimum of each head's loss with an L2 penalty, in place.

    The penalty's strength is ``training.liblinear_c`` (scikit-learn's C, in units of 1 / penalty). The embedding of an
    LSA model is found first, on labelled and unlabelled examples. The image tower stays as it is.

    Args:
      examples: how many there are, about; of more than ``ROWS`` only so many unlabelled ones are looked at.
      ancestors: objective to its classes' :func:`modules.objectives.ancestor_levels`.
      embed_images: of the image feature, in place of the model's tower.
    """
    lsa, image = workflow.model.kind == LSA, image_feature(workflow.features)
    share = min(1.0, ROWS / max(examples, 1)) if lsa else 0.0
    if image is not None and embed_images is None:
        embed_images = embedder(model, image[0])
    design, targets = design_matrix(
        dataset.as_numpy_iterator(), workflow, learned, unlabelled=share, embed_images=embed_images
    )
    ranges = columns_of(workflow, learned, model.get_layer(tower_name(image[0])).output.shape[-1] if image else 0)
    text_columns = design.shape[1] if image is None else ranges[image[0]][0]
    matrix: Matrix = design
    if lsa and text_columns:
        projection = fit_projection(design[:, :text_columns], projection_width(workflow.model), workflow.seed)
        for feature, (start, end) in ranges.items():
            if end <= text_columns:
                model.get_layer(f"projection_{feature}").set_weights([projection[start:end]])
        matrix = embed(design[:, :text_columns], projection)
        if image is not None:
            text_columns = matrix.shape[1]
            matrix = np.concatenate([matrix, design[:, ranges[image[0]][0] :].toarray()], axis=1)
    dropout = workflow.model.modality_dropout
    if image is not None and text_columns and dropout != 0:
        alone, rows = shown_alone(matrix, text_columns, 1.0 if dropout is None else dropout, workflow.seed)
        matrix = np.concatenate([matrix, alone]) if lsa else sparse.vstack([matrix, alone], format="csr")
        targets = {name: np.concatenate([labels, labels[rows]]) for name, labels in targets.items()}
    c, seed = workflow.training.liblinear_c, workflow.seed
    for name, objective in workflow.objectives.items():
        labels = targets[name]
        rows = objective.labelled(labels)
        table, bias = objective.fit_linear(
            matrix[rows], labels[rows], model.output[name].shape[-1], c=c, seed=seed,
            ancestors=(ancestors or {}).get(name, ()),
        )  # fmt: skip
        if lsa:
            model.get_layer(f"{name}_head").set_weights([table, bias])
            continue
        for feature, (start, end) in ranges.items():
            model.get_layer(f"{name}_wide_{feature}").set_weights([table[start:end]])
        model.get_layer(f"{name}_bias").set_weights([bias])
