"""What is accepted of a model's predictions without a look: thresholds per category, and what they stand on.

A table of predictions has the answer in ``<objective>/accepted``, and its folder has the thresholds as
:data:`ACCEPTANCE_FILE`. :mod:`modules.predictions.audited` fits them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from modules.arrays import BoolArray, Float32Array, Float64Array, Int64Array, IntArray
from modules.errors import InputError, Problem
from modules.examples import RETAILER
from modules.metrics.acceptance import Fit, Pool, fit_threshold, needed, pools_of
from modules.metrics.intervals import Interval, wilson, z_of
from modules.predictions.accepted_figures import ASKED, AUDITED, COVERAGE, LOWER, PICKED, POOL_LEVEL, THRESHOLD
from modules.predictions.columns import ACCEPTED, CATEGORY_ID, objective_column
from modules.predictions.read import PredictionFiles
from modules.predictions.withdrawn import Withdrawn
from modules.settings.acceptance import AcceptanceSettings

ACCEPTANCE_FILE = "acceptance.json"
"""In a folder of predictions; only where an objective asks for it."""


@dataclass(frozen=True)
class Audited:
    """Test products with a label that was drawn at random; arrays of shape (n,).

    Attributes:
      predicted: class indices. probability: of that class. right: whether it is the product's category.
      weight: 1 / inclusion probability.
      picked: further labelled test products, which were not drawn at random.
    """

    predicted: Int64Array
    probability: Float32Array
    right: BoolArray
    weight: Float64Array
    picked: int = 0


@dataclass(frozen=True)
class AcceptedPool:
    """Categories that share a threshold.

    Attributes:
      node: id of the category under which they lie; empty: the whole taxonomy. level: its level; 0 of the whole.
      classes: their indices.
      threshold: probability from which on predictions are accepted; None: none is.
      lower: bound of the precision; None without a threshold.
      audited: of each class.
    """

    node: str
    level: int
    classes: tuple[int, ...]
    threshold: float | None
    lower: float | None
    audited: tuple[int, ...]


@dataclass(frozen=True)
class Acceptance:
    """What is accepted of one objective.

    Attributes:
      settings: what was asked for. picked: see :class:`Audited`. categories: ids of the classes, in the head's order.
    """

    settings: AcceptanceSettings
    picked: int
    categories: tuple[str, ...]
    pools: tuple[AcceptedPool, ...]

    @property
    def audited(self) -> int:
        """How many products the thresholds stand on."""
        return sum(sum(pool.audited) for pool in self.pools)

    def thresholds(self) -> Float64Array:
        """Per class the probability from which on predictions are accepted, infinite where none is."""
        values = np.full(len(self.categories), np.inf)
        for pool in self.pools:
            if pool.threshold is not None:
                values[list(pool.classes)] = pool.threshold
        return values


@dataclass(frozen=True)
class ModelAcceptance:
    """The thresholds that a model's published predictions are held to.

    Attributes:
      version: another one for other thresholds. model: the model's fingerprint.
      thresholds: objective to each class's threshold (:meth:`Acceptance.thresholds`), of those that have any.
      withdrawn: what is not accepted whatever its probability.
    """

    version: str
    model: str
    thresholds: Mapping[str, Sequence[float]]
    withdrawn: Withdrawn = field(default_factory=Withdrawn)

    def of(self, model: str, classes: Mapping[str, Sequence[str]]) -> dict[str, Sequence[float]]:
        """The thresholds for a model. Nothing is accepted of another one, whose predictions nobody has audited.

        Args:
          model: its fingerprint. classes: objective to the classes that it tells apart.
        """
        own = {name: values for name, values in self.thresholds.items() if name in classes}
        if model != self.model:
            return {name: [math.inf] * len(classes[name]) for name in own}
        return dict(self.withdrawn.thresholds(own, classes))


_FILE = TypeAdapter(dict[str, Acceptance])


def fit_acceptance(
    audited: Audited, settings: AcceptanceSettings, lineages: Sequence[Sequence[str]], never: Sequence[int] = ()
) -> Acceptance:
    """The thresholds of one objective.

    Args:
      lineages: per class the ids of its ancestors, root first, and its own.
      never: classes of which nothing is accepted, since nobody has taught them.
    """
    least = settings.least_audited or 2 * needed(settings.precision, settings.confidence)
    per_class = np.bincount(audited.predicted, minlength=len(lineages))
    excluded = set(never)
    kept = [index for index in range(len(lineages)) if index not in excluded]
    pools = []
    for pool in pools_of(per_class[kept], [lineages[index] for index in kept], least):
        classes = tuple(kept[index] for index in pool.classes)
        rows = np.isin(audited.predicted, classes)
        fit = fit_threshold(
            audited.probability[rows], audited.right[rows], audited.weight[rows], settings.precision,
            settings.confidence,
        )  # fmt: skip
        pools.append(_pool(pool, classes, fit, lineages, per_class))
    return Acceptance(settings, audited.picked, tuple(lineage[-1] for lineage in lineages), tuple(pools))


def _pool(
    pool: Pool, classes: tuple[int, ...], fit: Fit, lineages: Sequence[Sequence[str]], per_class: Int64Array
) -> AcceptedPool:
    level = list(lineages[classes[0]]).index(pool.node) + 1 if pool.node else 0
    lower = None if math.isnan(fit.lower) else fit.lower
    counts = tuple(int(per_class[index]) for index in classes)
    return AcceptedPool(pool.node, level, classes, fit.threshold, lower, counts)


def write_acceptance(folder: str, acceptance: Mapping[str, Acceptance]) -> None:
    """Writes the thresholds beside the predictions; nothing where no objective asks for them."""
    if acceptance:
        (Path(folder) / ACCEPTANCE_FILE).write_bytes(_FILE.dump_json(dict(acceptance)))


def read_acceptance(folder: str | Path) -> dict[str, Acceptance]:
    """Objective to what is accepted; empty of predictions for which nobody asked, and of earlier versions.

    Raises:
      InputError: the file is damaged.
    """
    file = Path(folder) / ACCEPTANCE_FILE
    try:
        return _FILE.validate_json(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError):
        hint = "predict again with `shelfmark run --from Predictor`"
        raise InputError(Problem(str(file), "expected thresholds as a run writes them", hint=hint)) from None


def thresholds_in(folder: str | Path) -> dict[str, list[float]]:
    """Objective to each class's threshold, as :class:`modules.predictions.predict.PredictionColumns` takes them.

    Raises:
      InputError: as :func:`read_acceptance`.
    """
    return {name: own.thresholds().tolist() for name, own in read_acceptance(folder).items()}


def accepted_column(
    best: IntArray, probability: Float32Array, thresholds: Sequence[float] | Float64Array
) -> pa.BooleanArray:
    """Whether each product's category is accepted.

    Args:
      best: (n,) classes of the products' categories. probability: (n,) of them.
      thresholds: per class, :meth:`Acceptance.thresholds`.
    """
    return pa.array(probability >= np.asarray(thresholds)[best])


def acceptance_figures(
    acceptance: Acceptance, files: PredictionFiles, objective: str
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """The figures of an objective and those of each of its categories, by id.

    Args:
      files: the predictions that the thresholds were made for; they say how many products are accepted.
    """
    predicted, accepted = _counts(acceptance, files, objective)
    total, bounded = int(files.products()), 0.0
    categories: dict[str, dict[str, float]] = {}
    for pool in acceptance.pools:
        if pool.lower is not None:
            bounded += pool.lower * accepted[list(pool.classes)].sum()
        for index, audited in zip(pool.classes, pool.audited, strict=True):
            own: dict[str, float] = {AUDITED: audited, POOL_LEVEL: pool.level}
            if predicted[index]:
                own[COVERAGE] = float(accepted[index] / predicted[index])
            if pool.threshold is not None and pool.lower is not None:
                own |= {THRESHOLD: pool.threshold, LOWER: pool.lower}
            categories[acceptance.categories[index]] = own
    figures: dict[str, float] = {
        COVERAGE: float(accepted.sum() / total) if total else 0.0,
        ASKED: acceptance.settings.precision,
        AUDITED: acceptance.audited,
        PICKED: acceptance.picked,
    }
    if accepted.any():
        figures[LOWER] = float(bounded / accepted.sum())
    return {name: float(value) for name, value in figures.items()}, categories


def accepted_shares(folder: str, objective: str) -> dict[str, dict[str, tuple[int, Interval]]]:
    """Column to its values, each with its products and Wilson's 95% interval of the share that is accepted.

    Of the columns that metrics are sliced by, a table of predictions has the retailer alone. Empty where nothing was
    asked to be accepted.
    """
    files = PredictionFiles(Path(folder))
    column = objective_column(objective, ACCEPTED)
    if column not in files.schema.names:
        return {}
    counts: dict[str, list[int]] = {}
    for batch in files.scan([RETAILER, column]):
        table = pa.Table.from_batches([batch]).group_by(RETAILER)
        for row in table.aggregate([(column, "sum"), (column, "count")]).to_pylist():
            own = counts.setdefault(row[RETAILER] or "", [0, 0])
            own[0] += row[f"{column}_sum"] or 0
            own[1] += row[f"{column}_count"]
    shares = {}
    for name, (accepted, products) in counts.items():
        lower, upper = wilson(accepted / products, products, z_of(0.95))
        shares[name] = products, Interval(accepted / products, float(lower), float(upper))
    return {RETAILER: shares}


def _counts(acceptance: Acceptance, files: PredictionFiles, objective: str) -> tuple[Int64Array, Int64Array]:
    """Per class the products of all splits, and those of them that are accepted."""
    n = len(acceptance.categories)
    ids = pa.array(acceptance.categories, pa.string())
    predicted, accepted = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for batch in files.scan([objective_column(objective, part) for part in (CATEGORY_ID, ACCEPTED)]):
        column = batch.column(0)
        texts = column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        classes = pc.index_in(texts, value_set=ids).fill_null(-1).to_numpy(zero_copy_only=False)
        flags = batch.column(1).to_numpy(zero_copy_only=False)
        predicted += np.bincount(classes[classes >= 0], minlength=n)
        accepted += np.bincount(classes[flags], minlength=n)
    return predicted, accepted
