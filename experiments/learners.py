"""What is trained after each batch: the pipeline's models over products in memory."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy import sparse

from experiments.catalogue import LabelledCatalogue
from experiments.features import analysed, model_inputs
from modules.arrays import Float32Array, Int64Array
from modules.errors import InputError
from modules.examples import TOKEN_IDS, TOKEN_WEIGHTS, is_transformed, sibling
from modules.features import embedding_features
from modules.graph_ops.layers import PADDING
from modules.models.base import ModelSettings
from modules.models.build import InputSizes, build_model, compares_words
from modules.models.latent import WIDTH, LatentModelSettings
from modules.models.projection import ROWS, EmbeddingColumns, embed, fit_projection
from modules.objectives import DEFAULT_OBJECTIVE, ancestor_levels
from modules.objectives.base import ObjectiveSettings
from modules.predictions.columns import EMBEDDING
from modules.settings.base import contradiction
from modules.settings.workflow import Workflow
from modules.training.category_names import name_inputs
from modules.training.design import columns_of, design_matrix
from modules.training.fit import Heads, balanced_weights, fit, losses_of
from modules.training.gaussian_process import Process
from modules.training.liblinear import names_in_embedding
from modules.training.methods.gradient import GradientTraining
from modules.training.methods.liblinear import LiblinearTraining
from modules.training.named_products import NamedProducts, process_of
from modules.training.penalty import LinearHead, cross_validated_penalty
from modules.training.run import input_sizes

OBJECTIVE = DEFAULT_OBJECTIVE
_BATCH = 1024

Batches = Sequence[Mapping[str, npt.NDArray[Any]]]


class Learner(Protocol):
    """A model over the products of a catalogue, named by their rows.

    Attributes:
      informed: its scores say something before the first fit.
    """

    informed: bool

    def fit(self, rows: Int64Array, labels: Int64Array, seed: int) -> None:
        """Trains anew on these products; on none it goes back to where it began."""

    def logits(self, rows: Int64Array) -> Float32Array:
        """Scores (rows, classes)."""

    def embeddings(self, rows: Int64Array) -> Float32Array:
        """Rows of unit length (rows, width). Before the first fit as far as the model has any by then."""


def learner_of(
    workflow: Workflow, catalogue: LabelledCatalogue, inputs: Batches, sizes: InputSizes, pool: Int64Array,
    rules: sparse.csr_matrix | None = None,
) -> Learner:  # fmt: skip
    """The learner for the workflow's model.

    Args:
      workflow: the simulated workflow: its exclusive objective, and those that learn from rules.
      catalogue: the products and their true classes.
      inputs: the model's inputs of all products, in batches, in the catalogue's order.
      sizes: widths of the model's inputs.
      pool: the rows that training may look at, labelled or not.
      rules: what rules say of each product (:func:`experiments.catalogue.rule_labels`), for a model whose objectives
        share layers.

    Raises:
      InputError: experiments do not know the workflow's way of training.
    """
    if isinstance(workflow.training, LiblinearTraining):
        return ExactLearner(workflow, catalogue, inputs, sizes, pool)
    if isinstance(workflow.training, GradientTraining):
        return GradientLearner(workflow, catalogue, inputs, sizes, pool, rules)
    known = workflow.solvers(lambda way: issubclass(way, LiblinearTraining | GradientTraining))
    raise InputError(contradiction("training.solver", workflow.training.solver, f"{known}, in an experiment"))


def memory_learner(
    workflow: Workflow, catalogue: LabelledCatalogue, pool: Int64Array, rules: sparse.csr_matrix | None = None
) -> Learner:
    """The learner over all products, whose vocabularies and frequencies are those of ``pool``."""
    with tempfile.TemporaryDirectory() as folder:
        graph = analysed([catalogue.products[row] for row in pool], workflow, Path(folder))
        inputs = model_inputs(catalogue.products, workflow, graph)
        classes = {name: len(objective.classes(catalogue.taxonomy)) for name, objective in workflow.objectives.items()}
        sizes = input_sizes(workflow, graph, classes)
        names = name_inputs(workflow, catalogue.taxonomy, graph, sizes.features)
        sizes = dataclasses.replace(sizes, names=names)
    return learner_of(workflow, catalogue, inputs, sizes, pool, rules)


class ExactLearner:
    """Linear and LSA models with LIBLINEAR: the design matrix and the SVD are made once, each fit is a head's."""

    def __init__(
        self, workflow: Workflow, catalogue: LabelledCatalogue, inputs: Batches, sizes: InputSizes, pool: Int64Array
    ) -> None:
        objective = workflow.objectives[OBJECTIVE]
        assert objective.single_label
        assert isinstance(workflow.training, LiblinearTraining)
        self.objective: ObjectiveSettings = objective.for_exact_solver() if workflow.model.chooses else objective
        self.workflow, self.sizes, self.pool = workflow, sizes, pool
        self.c, self.classes = workflow.training.liblinear_c, catalogue.classes
        self.ancestors = ancestor_levels(catalogue.taxonomy.exclusive, catalogue.taxonomy)
        lengths = [len(next(iter(batch.values()))) for batch in inputs]
        unlabelled = [(batch, {OBJECTIVE: np.full(n, -1)}) for n, batch in zip(lengths, inputs, strict=True)]
        self.design, _ = design_matrix(unlabelled, workflow.features, sizes.features, seed=workflow.seed)
        self.taken: ModelSettings | None = None
        self.process: Process | None = None
        self.known: NamedProducts | None = None
        self.words: sparse.csr_matrix | None = None
        self.columns: EmbeddingColumns | None = None
        self.projection = np.zeros((0, 0), np.float32)
        self._take(workflow.model.chosen(0, 0, workflow)[0])
        self.table, self.bias = (
            np.zeros((self.matrix.shape[1], self.classes), np.float32),
            np.zeros(self.classes, np.float32),
        )
        self.informed = self.settings.knows_names
        if self.informed:
            self._fit_process(np.zeros(0, np.int64), np.zeros(0, np.int64), workflow.seed)

    def _take(self, settings: ModelSettings) -> None:
        """Embeds all products as this kind of model does, and lets the head read what its head reads."""
        if settings == self.taken:
            return
        self.taken, self.settings, seed = settings, settings, self.workflow.seed
        self.known, self.words = None, None
        ranges = columns_of(self.workflow.features, self.sizes.features)
        if isinstance(settings, LatentModelSettings):
            encoders = embedding_features(self.workflow.features)
            self.columns = columns = EmbeddingColumns.of(ranges, encoders, self.design.shape[1])
            seen = self.design[self.pool][:, columns.projected]
            if len(self.pool) > ROWS:
                seen = seen[np.random.default_rng(seed).choice(len(self.pool), ROWS, replace=False)]
            self.projection = projection = fit_projection(seen, settings.embedding_width or WIDTH, seed)
            self._embeddings = columns.embed(self.design, projection)
            if compares_words(settings, self.workflow.features, self.classes):
                self.words = self.design[:, columns.projected]
            self.matrix = self._embeddings
        else:
            model = build_model(self.workflow.model_copy(update={"model": settings}), self.sizes)
            tables = [model.get_layer(f"projection_{name}").get_weights()[0] for name in ranges]
            self._embeddings = embed(self.design, np.concatenate(tables))
            self.matrix = self.design

    def fit(self, rows: Int64Array, labels: Int64Array, seed: int) -> None:
        self._take(self.workflow.model.chosen(len(rows), len(np.unique(labels)), self.workflow)[0])
        if self.settings.knows_names:
            self._fit_process(rows, labels, seed)
            return
        self.process = None
        if not len(rows):
            return
        head, matrix = LinearHead(self.objective, self.classes, seed, self.ancestors), self.matrix[rows]
        c = self.c or cross_validated_penalty(head, matrix, labels, self.settings.penalties)
        self.table, self.bias = head.fit(matrix, labels, c)

    def _fit_process(self, rows: Int64Array, labels: Int64Array, seed: int) -> None:
        """The head that starts from categories' names, which sees the pool's products and these labels."""
        if self.known is None:
            assert self.columns is not None
            names = names_in_embedding(
                self.sizes.names[OBJECTIVE], self.workflow.features, self.columns.projected, self.projection
            )
            words = None if self.words is None else self.words[self.pool]
            self.known = NamedProducts.of(np.asarray(self.matrix)[self.pool], names, words)
        given = np.full(len(self.matrix), -1)
        given[rows] = labels
        self.process = process_of(
            self.objective, self.known, np.searchsorted(self.pool, rows), given[self.pool], self.ancestors, seed
        )

    def logits(self, rows: Int64Array) -> Float32Array:
        if self.process is not None:
            return self.process.logits(self._embeddings[rows], None if self.words is None else self.words[rows])
        return np.asarray(self.matrix[rows] @ self.table + self.bias, np.float32)

    def embeddings(self, rows: Int64Array) -> Float32Array:
        return self._embeddings[rows]


class GradientLearner:
    """Models that are trained by gradient descent, drawn anew for each fit; for all epochs, without an eval split.

    Objectives that learn from rules learn from all products of the pool that rules say something of.
    """

    informed = False

    def __init__(
        self, workflow: Workflow, catalogue: LabelledCatalogue, inputs: Batches, sizes: InputSizes, pool: Int64Array,
        rules: sparse.csr_matrix | None,
    ) -> None:  # fmt: skip
        self.workflow, self.sizes, self.classes, self.rules = workflow, sizes, catalogue.classes, rules
        self.taught = [name for name in workflow.objectives if name != OBJECTIVE]
        self.reached = np.zeros(0, np.int64)
        if rules is not None and self.taught:
            says_no = any(workflow.objectives[name].unreached_weight for name in self.taught)
            self.reached = pool if says_no else pool[rules.getnnz(axis=1)[pool] > 0]
        self.inputs = _joined(inputs)
        self.model = build_model(workflow, sizes)

    def fit(self, rows: Int64Array, labels: Int64Array, seed: int) -> None:
        if not len(rows):
            self.model = build_model(self.workflow, self.sizes)
            return
        workflow = self.workflow.model_copy(update={"seed": seed})
        self.model = build_model(workflow, self.sizes)
        training = workflow.training
        assert isinstance(training, GradientTraining)
        learnt = np.concatenate([rows, np.setdiff1d(self.reached, rows)])
        size = min(training.batch_size, len(learnt))
        data = tf.data.Dataset.from_tensor_slices((self._some(learnt), self._targets(learnt, labels)))
        data = data.shuffle(len(learnt), seed=seed).batch(size).map(self._dense)
        heads = Heads(
            workflow.objectives, losses_of(workflow.objectives, self._weights(labels)), workflow.model.weight_penalty
        )
        fit(
            self.model, training, heads, data, None,
            steps_per_epoch=-(-len(learnt) // size), epochs=training.epochs,
        )  # fmt: skip

    def _targets(self, rows: Int64Array, labels: Int64Array) -> dict[str, npt.NDArray[Any]]:
        """The labels of the first rows, -1 of the others; of rules the categories' numbers, with -1 at the end."""
        targets = {OBJECTIVE: np.concatenate([labels, np.full(len(rows) - len(labels), -1)])}
        if self.rules is not None:
            some = self.rules[rows]
            lengths = np.diff(some.indptr)
            padded = np.full((len(rows), max(1, int(lengths.max(initial=0)))), -1)
            padded[np.arange(padded.shape[1]) < lengths[:, None]] = some.indices
            targets |= dict.fromkeys(self.taught, padded)
        return targets

    def _dense(self, inputs: Any, targets: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The numbers of a batch's categories as 1 for yes, 0 for no and -1 for unknown."""
        dense = {OBJECTIVE: targets[OBJECTIVE]}
        for name in self.taught:
            yes = tf.reduce_max(tf.one_hot(targets[name], self.sizes.classes[name]), axis=1)
            reached = tf.reduce_any(yes > 0.0, axis=1, keepdims=True)
            unreached = 0.0 if self.workflow.objectives[name].unreached_weight else -1.0
            dense[name] = tf.where(reached, yes, unreached)
        return inputs, dense

    def _weights(self, labels: Int64Array) -> dict[str, list[float] | None]:
        weights: dict[str, list[float] | None] = {}
        for name, objective in self.workflow.objectives.items():
            if objective.class_weights == "balanced":
                counts = np.bincount(labels, minlength=self.classes)
                if name != OBJECTIVE and self.rules is not None:
                    counts = np.asarray(self.rules[self.reached].sum(axis=0, dtype=np.int64)).ravel()
                weights[name] = balanced_weights(counts)
        return weights

    def logits(self, rows: Int64Array) -> Float32Array:
        return self._outputs(rows, OBJECTIVE)

    def embeddings(self, rows: Int64Array) -> Float32Array:
        return self._outputs(rows, EMBEDDING)

    def _outputs(self, rows: Int64Array, name: str) -> Float32Array:
        parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
        outputs = [np.asarray(self.model(self._some(part), training=False)[name]) for part in parts]
        return np.concatenate(outputs).astype(np.float32)

    def _some(self, rows: Int64Array) -> dict[str, npt.NDArray[Any]]:
        inputs = {}
        for name, values in self.inputs.items():
            inputs[name] = values[rows]
            if is_transformed(name, TOKEN_IDS):
                # No longer than the longest of these rows.
                longest = max(1, int((inputs[name] >= 0).sum(axis=1).max()))
                inputs[name] = inputs[name][:, :longest]
                weights = sibling(name, TOKEN_WEIGHTS)
                inputs[weights] = self.inputs[weights][rows][:, :longest]
        return inputs


def _joined(inputs: Batches) -> dict[str, npt.NDArray[Any]]:
    """All batches as one; token ids and weights are padded to the longest row of all."""
    joined = {}
    for name in inputs[0]:
        parts = [batch[name] for batch in inputs]
        if is_transformed(name, TOKEN_IDS) or is_transformed(name, TOKEN_WEIGHTS):
            fill = PADDING if is_transformed(name, TOKEN_IDS) else 0.0
            longest = max(part.shape[1] for part in parts)
            parts = [np.pad(part, ((0, 0), (0, longest - part.shape[1])), constant_values=fill) for part in parts]
        joined[name] = np.concatenate(parts)
    return joined
