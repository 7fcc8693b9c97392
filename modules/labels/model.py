"""Label rows as columns, and the labels that they come to."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from modules.labels.assumed import Assumed
from modules.taxonomy import Taxonomy

VALUES = ("yes", "no", "none_of_these", "skip", "retracted")
YES, NO, NONE_OF_THESE, SKIP, RETRACTED = range(5)
AUDIT = "audit"
"""Source of labels of accepted products that were drawn at random: of what was accepted alone, so that an evaluation,
which stands on products drawn from all, passes over them."""
MODEL = "model"
"""Source of what a language model or another classifier said: kept and counted, never equal to a person's answer."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LabelRow(NamedTuple):
    """One answer, as it stands in a label file; ``category`` is an id."""

    product_id: str
    objective: str
    category: str | None
    value: str
    annotator: str
    time: datetime
    batch: str | None
    source: str
    inclusion_probability: float | None


@dataclass(slots=True)
class LabelLog:
    """All rows of the label files in file order: about 40 bytes a row, plus each different text once.

    Attributes:
      taxonomy: what ``categories`` counts in.
      kinds: objective name to ``exclusive`` or ``multi_label``; ``objectives`` counts in its order.
      products, annotators, batches, sources: the texts that the columns of the same row count in.
      categories: index of the row's category in the taxonomy, -1 for none. ``values`` index VALUES.
      times: seconds since 1970 (UTC).
      probabilities: inclusion probabilities, NaN where a row has none.
      fingerprint: 64 hex digits of what the files hold, compressed or not.
      assumed: what rows were given that left something out.
    """

    taxonomy: Taxonomy
    kinds: Mapping[str, str]
    products: list[str] = field(default_factory=list)
    annotators: list[str] = field(default_factory=list)
    batches: list[str | None] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    product_column: array[int] = field(default_factory=lambda: array("i"))
    objective_column: array[int] = field(default_factory=lambda: array("h"))
    category_column: array[int] = field(default_factory=lambda: array("i"))
    value_column: array[int] = field(default_factory=lambda: array("b"))
    annotator_column: array[int] = field(default_factory=lambda: array("i"))
    time_column: array[float] = field(default_factory=lambda: array("d"))
    batch_column: array[int] = field(default_factory=lambda: array("i"))
    source_column: array[int] = field(default_factory=lambda: array("i"))
    probability_column: array[float] = field(default_factory=lambda: array("d"))
    fingerprint: str = ""
    assumed: Assumed = field(default_factory=Assumed)

    @property
    def columns(self) -> tuple[array[Any], ...]:
        """The columns in the order of a :class:`LabelRow`'s attributes."""
        return (
            self.product_column,
            self.objective_column,
            self.category_column,
            self.value_column,
            self.annotator_column,
            self.time_column,
            self.batch_column,
            self.source_column,
            self.probability_column,
        )

    def __len__(self) -> int:
        return len(self.product_column)

    def __iter__(self) -> Iterator[LabelRow]:
        ids = [category.id for category in self.taxonomy]
        objectives = list(self.kinds)
        for product, objective, category, value, annotator, time, batch, source, probability in zip(
            *self.columns, strict=True
        ):
            yield LabelRow(
                self.products[product],
                objectives[objective],
                ids[category] if category >= 0 else None,
                VALUES[value],
                self.annotators[annotator],
                _EPOCH + timedelta(seconds=time),
                self.batches[batch],
                self.sources[source],
                None if math.isnan(probability) else probability,
            )

    def summary(self) -> LabelSummary:
        """Rows by objective, source and value."""
        objectives = list(self.kinds)
        counts = Counter(zip(self.objective_column, self.source_column, self.value_column, strict=True))
        return LabelSummary(
            tuple(
                LabelCount(objectives[objective], self.sources[source], VALUES[value], count)
                for (objective, source, value), count in sorted(counts.items())
            )
        )


class ResolvedLabel(NamedTuple):
    """What the people who answered agree on for one product and objective.

    Attributes:
      category_id: the exclusive category; None where it is none of these, and always for a multi-label objective.
      yes, no: ids of the categories that the product is and is not in, of a multi-label objective; else empty.
      source: ``random`` only if a random pick stands behind the result (see :func:`modules.labels.resolve`), else the
        source of the newest row that does.
      inclusion_probability: the random pick's; None for every other source.
      annotators: everybody whose answer was counted, sorted.
      agreement: share of the counted answers that say the same, over 0.5; the mean over categories if multi-label.
    """

    category_id: str | None
    yes: tuple[str, ...]
    no: tuple[str, ...]
    source: str
    inclusion_probability: float | None
    annotators: tuple[str, ...]
    agreement: float


@dataclass(frozen=True, slots=True)
class ResolvedLabels:
    """Per objective: product id to its label. Products without one (ties, skipped, retracted) are not in it.

    Attributes:
      objectives: every objective of the workflow, also those without labels.
      unresolved: per objective, products that somebody answered but that have no label, by reason: ``tie``,
        ``no_answer`` (skipped, retracted, or told only what an exclusive category is not).
      modelled: per objective, products that a model has labelled (source ``model``), whether that is used or not.
    """

    objectives: Mapping[str, Mapping[str, ResolvedLabel]]
    unresolved: Mapping[str, Mapping[str, int]]
    fingerprint: str = ""
    modelled: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, objective: str) -> Mapping[str, ResolvedLabel]:
        return self.objectives[objective]

    def summary(self) -> LabelSummary:
        """Labelled products by objective, source and result (``yes``, ``no``, ``none_of_these``)."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for objective, labels in self.objectives.items():
            for label in labels.values():
                value = "yes" if label.category_id or label.yes else "no" if label.no else "none_of_these"
                counts[objective, label.source, value] += 1
        return LabelSummary(tuple(LabelCount(*key, count) for key, count in sorted(counts.items())))


class LabelCount(NamedTuple):
    """How many rows, or products, have this objective, source and value."""

    objective: str
    source: str
    value: str
    number: int


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """Counts, sorted by objective, source and value."""

    counts: tuple[LabelCount, ...]

    def per_source(self) -> dict[str, dict[str, int]]:
        """Objective to source to count."""
        result: dict[str, dict[str, int]] = {}
        for objective, source, _, count in self.counts:
            sources = result.setdefault(objective, {})
            sources[source] = sources.get(source, 0) + count
        return result

    @property
    def total(self) -> int:
        return sum(count.number for count in self.counts)
