"""What there is to say about a run, as plain data: the summary and the HTML report are made of it.

Every part may be missing: a first run has nothing to compare with, an unlabelled test split has no metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import Literal

from modules.arrays import BoolArray, Float64Array, Int64Array
from modules.counting import counted
from modules.examples import Counts
from modules.metrics.disparity import Disparity

MAIN_FIGURES = (
    "accuracy", "level_{k}_accuracy", "top_{k}_accuracy", "micro_f1", "macro_f1", "weighted_f1", "hierarchical_f1",
    "micro_precision", "micro_recall", "auc", "calibration_error",
)  # fmt: skip
"""An objective's figures in the order of their showing; {k} is any number."""

LOWER_IS_BETTER = frozenset({"calibration_error"})

_WORDS = {"f1": "F1", "auc": "AUC"}


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval, where it has one."""

    value: float
    lower: float | None = None
    upper: float | None = None

    @classmethod
    def of(cls, values: Mapping[str, float], name: str) -> Estimate | None:
        """The figure ``name`` (with ``name/lower`` and ``name/upper``) out of ``values``; None if it is not there."""
        if name not in values:
            return None
        return cls(values[name], values.get(f"{name}/lower"), values.get(f"{name}/upper"))


@dataclass(frozen=True)
class Figure:
    """One of an objective's figures, beside the last run's."""

    name: str
    now: Estimate
    before: Estimate | None = None

    @property
    def title(self) -> str:
        """For people: ``top_5_accuracy`` is "top-5 accuracy"."""
        words = [_WORDS.get(word, word) for word in self.name.split("_")]
        if words[0] in ("top", "level") and len(words) == 3:
            return f"{words[0]}-{words[1]} {words[2]}"
        return " ".join(words)

    @property
    def difference(self) -> float | None:
        return None if self.before is None else self.now.value - self.before.value

    @property
    def better(self) -> bool:
        """Whether the difference is to the good."""
        return ((self.difference or 0.0) > 0.0) != (self.name in LOWER_IS_BETTER)

    @property
    def certain(self) -> bool | None:
        """Whether the change is larger than the two intervals explain (Newcombe 1998, method 10); None: unknown."""
        now, before = self.now, self.before
        if before is None or now.lower is None or now.upper is None or before.lower is None or before.upper is None:
            return None
        up = now.value > before.value
        towards = (
            (before.upper - before.value, now.value - now.lower)
            if up
            else (before.value - before.lower, now.upper - now.value)
        )
        return abs(now.value - before.value) > hypot(*towards)


def main_figures(values: Mapping[str, float], before: Mapping[str, float] | None = None) -> list[Figure]:
    """The figures of :data:`MAIN_FIGURES` that ``values`` has, in that order.

    Args:
      values, before: figure to value, as ML Metadata has them, of this run and of the last one.
    """
    figures = []
    for pattern in MAIN_FIGURES:
        start, _, end = pattern.partition("{k}")
        # Shorter ones first: level 2 stands before level 10.
        for name in sorted(values, key=lambda name: (len(name), name)):
            exact = name == pattern if not end else name.startswith(start) and name.endswith(end) and "/" not in name
            now = Estimate.of(values, name) if exact else None
            if now is not None:
                figures.append(Figure(name, now, Estimate.of(before or {}, name)))
    return figures


@dataclass(frozen=True)
class CategoryRow:
    """A category of an objective: figures from the test products, and products of all splits.

    Attributes:
      support: sum of the weights of the labelled test products; examples: their number.
      predicted: products of all splits predicted to be in it. labelled: those labelled as it (exclusive only).
      before: the F1 in the last run.
    """

    id: str
    path: str
    f1: Estimate | None = None
    precision: float | None = None
    recall: float | None = None
    auc: float | None = None
    support: float = 0.0
    examples: int = 0
    predicted: int | None = None
    labelled: int | None = None
    before: float | None = None


@dataclass(frozen=True)
class HistoryPoint:
    """An objective's figures in one run."""

    run: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class ConfusedPair:
    """Labelled test products of category ``label`` that were predicted as ``predicted``, with some titles."""

    label: str
    predicted: str
    products: int
    titles: Sequence[str] = ()


@dataclass(frozen=True)
class Confusion:
    """Top-level categories: ``counts[i, j]`` test products labelled ``names[i]`` were predicted as ``names[j]``."""

    names: Sequence[str]
    counts: Int64Array


@dataclass(frozen=True)
class Predicted:
    """What the predictions of one objective look like.

    Attributes:
      predicted, labelled: int64 of shape (n_classes,): products of all splits.
      confusion, pairs, reliability: of labelled test products (exclusive only), each counted once.
      reliability: float64 of shape (3, bins): products, summed probability, hits per bin of the probability.
      guessed: of shape (n_classes,): whether the model knows a class by its name alone.
    """

    predicted: Int64Array
    labelled: Int64Array | None = None
    confusion: Confusion | None = None
    pairs: Sequence[ConfusedPair] = ()
    reliability: Float64Array | None = None
    guessed: BoolArray | None = None

    @property
    def guessed_products(self) -> int:
        """Products whose category is a guess from its name."""
        return 0 if self.guessed is None else int(self.predicted[self.guessed].sum())

    @property
    def guessed_categories(self) -> int:
        """Categories that the model knows by their names alone."""
        return 0 if self.guessed is None else int(self.guessed.sum())


@dataclass(frozen=True)
class RetailerRow:
    """Figures of one retailer's labelled test products, ``measured`` of them."""

    name: str
    measured: int
    figures: Sequence[Figure]


@dataclass(frozen=True)
class ObjectiveReport:
    """All of one objective.

    Attributes:
      measured: labelled test products that the figures stand on.
      imitates: the labels are the rules' answers, so figures say how well the head imitates them, not how right it is.
      history: this run last. failed: categories below their bound, as sentences.
    """

    name: str
    kind: str
    measured: int = 0
    figures: Sequence[Figure] = ()
    categories: Sequence[CategoryRow] = ()
    history: Sequence[HistoryPoint] = ()
    failed: Sequence[str] = ()
    predicted: Predicted | None = None
    top_level: Sequence[tuple[str, int, int | None]] = ()
    """(name, predicted products, labelled products) of the roots of the taxonomy."""
    labelling: Sequence[str] = ()
    """Whether labelling on is worth it, in sentences, the verdict first."""
    imitates: bool = False
    acceptance: Sequence[str] = ()
    """What is accepted without a look, in sentences; none: nobody asks."""
    disparities: Sequence[Disparity] = ()
    """Rates compared over the slices of a column; none: nobody asks."""
    retailers: Sequence[RetailerRow] = ()
    """Those with labelled test products, the one with the most of them first."""

    @property
    def stands_on(self) -> str:
        """What the figures are measured on, and what they mean where that is not how often the model is right."""
        if self.imitates:
            products = counted(self.measured, "test product")
            return f"{products} that rules reach: how well it imitates the rules, no accuracy"
        return counted(self.measured, "labelled test product")

    def ranked(self) -> list[CategoryRow]:
        """Categories with labelled test products, the best first; where F1 is the same, more products weigh more."""
        known = [row for row in self.categories if row.f1 is not None and row.examples > 0]
        good = [row for row in known if row.f1 is not None and row.f1.value >= 0.5]
        bad = [row for row in known if row.f1 is not None and row.f1.value < 0.5]
        good.sort(key=lambda row: (-row.f1.value, -row.examples, row.path) if row.f1 else (0.0, 0, ""))
        bad.sort(key=lambda row: (-row.f1.value, row.examples, row.path) if row.f1 else (0.0, 0, ""))
        return good + bad


@dataclass(frozen=True)
class Blessing:
    """Whether the model may be pushed; ``reasons`` say why not."""

    state: Literal["blessed", "not blessed", "not checked", "unknown"]
    sentence: str
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class IndexedPart:
    """What an index reaches in one partition, or in all (``name`` None); ``method``: ``scann`` or ``exact``."""

    name: str | None
    products: int
    method: str
    recall: float
    milliseconds: float
    queries_per_second: float


@dataclass(frozen=True)
class IndexReport:
    """A similarity index; ``parts``: the global search first. ``reasons``: why it is not blessed; none: it is."""

    name: str
    k: int
    parts: Sequence[IndexedPart]
    near_duplicates: int | None = None
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Training:
    """What training did.

    Attributes:
      history: figure to its value per epoch (``loss``, ``val_exclusive_labelled_loss``, ...).
      facts: title and text, for a table.
    """

    epochs: int
    best_epoch: int
    history: Mapping[str, Sequence[float]]
    facts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Tuning:
    """What the Tuner found.

    Attributes:
      objective, metric: what trials were compared by, on the eval split.
      settings: the names of the settings that were searched.
      trials: (score, a text per setting), the best first.
    """

    objective: str
    metric: str
    settings: Sequence[str]
    trials: Sequence[tuple[float, Sequence[str]]]


@dataclass(frozen=True)
class Timing:
    """A component of the run and how long it took; ``state`` as in ``pipeline.local.Step``."""

    component: str
    state: str
    seconds: float


@dataclass(frozen=True)
class BadExample:
    """A record in quarantine."""

    reason: str
    place: str
    detail: str
    raw: str


@dataclass(frozen=True)
class Report:
    """Everything about a run.

    Attributes:
      previous: the run that figures are compared with; None: this is the first one.
      unchanged: this run took that run's metrics from the cache.
      alone: nothing is known of other runs.
      places: title and path or command, of all that lies somewhere.
      missing: sentences about parts that could not be read.
    """

    workflow: str
    run: str
    seconds: float
    counts: Counts | None = None
    steps: Sequence[Timing] = ()
    objectives: Sequence[ObjectiveReport] = ()
    previous: str | None = None
    unchanged: bool = False
    blessing: Blessing | None = None
    training: Training | None = None
    tuning: Tuning | None = None
    quarantine: Sequence[BadExample] = ()
    places: Sequence[tuple[str, str]] = ()
    missing: Sequence[str] = field(default_factory=tuple)
    indexes: Sequence[IndexReport] = ()
    alone: bool = False
