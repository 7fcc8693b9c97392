"""From many answers to one label per product and objective."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from modules.labels.model import MODEL, NO, NONE_OF_THESE, RETRACTED, SKIP, YES, LabelLog, ResolvedLabel, ResolvedLabels
from modules.objectives import kind_named

_CHUNK = 1 << 16
_NONE = -1


class _Row(NamedTuple):
    """A row of the log, every text as its index."""

    objective: int
    product: int
    annotator: int
    category: int
    value: int
    source: int
    probability: float
    time: float


class _Outcome(NamedTuple):
    """What was decided about one category (or none of them): by which rows, out of how many answers."""

    rows: list[_Row]
    answers: int


def resolve(log: LabelLog, *, include_model: bool | Collection[str] = False) -> ResolvedLabels:
    """What the annotators agree on.

    For each product, objective and annotator the newest row counts (of equal times the later in the files); for a
    multi-label objective, the newest one about each category. A skipped or retracted newest row is no answer: it
    withdraws that annotator's earlier ones. A retracted row without a category, in a multi-label objective, withdraws
    all of them; a skipped one without a category none.

    Then the majority decides: more than half of the annotators who answered. Without one the product (or the category,
    in a multi-label objective) stays unlabelled. ``no`` to an exclusive category speaks against it and for nothing.
    ``none_of_these`` in a multi-label objective is a ``no`` to every category that the annotators speak of.

    Of a multi-label objective, an annotator's ``yes`` to a category says yes to all above it, and a ``no`` says no to
    all below it, unless they say something else of those themselves; where the two contradict each other, the newer
    counts.

    A label's source is ``random`` only if one of the rows in its majority is; then the newest such row gives the
    inclusion probability. For a multi-label objective this must hold for every category that is decided.

    Args:
      include_model: take rows of the source ``model`` for products that no human answered (of the objectives with these
        names, or of all); such labels have the source ``model``. Otherwise those rows are left out. They never count
        beside a human's.
    """
    names = list(log.kinds)
    deciders = [_Decider(log, kind_named(kind).single_label) for kind in log.kinds.values()]
    model = log.sources.index(MODEL) if MODEL in log.sources else None
    labels: dict[str, dict[str, ResolvedLabel]] = {name: {} for name in names}
    unresolved: dict[str, Counter[str]] = {name: Counter() for name in names}
    modelled: Counter[str] = Counter()
    with_model = set(names if include_model else ()) if isinstance(include_model, bool) else set(include_model)
    for (objective, product), group in groupby(_in_order(log), key=itemgetter(0, 1)):
        rows = list(group)
        decider = deciders[objective]
        humans = rows if model is None else [row for row in rows if row.source != model]
        label = decider(humans)
        modelled[names[objective]] += len(humans) < len(rows)
        if label == "no_answer" and names[objective] in with_model and len(humans) < len(rows):
            label = decider([row for row in rows if row.source == model])
        if isinstance(label, ResolvedLabel):
            labels[names[objective]][log.products[product]] = label
        elif humans:
            unresolved[names[objective]][label] += 1
    return ResolvedLabels(
        labels, {name: dict(counts) for name, counts in unresolved.items()}, log.fingerprint, dict(+modelled)
    )


def _in_order(log: LabelLog) -> Iterator[_Row]:
    """The rows by objective, product and annotator, the oldest first; a chunk at a time, so that memory stays flat."""
    import numpy as np

    columns = [
        np.frombuffer(column, dtype=column.typecode)
        for column in (
            log.objective_column,
            log.product_column,
            log.annotator_column,
            log.category_column,
            log.value_column,
            log.source_column,
            log.probability_column,
            log.time_column,
        )
    ]
    # lexsort is stable: of equal times, the one that is later in the files stays the later one.
    order = np.lexsort((columns[7], columns[2], columns[1], columns[0]))
    for start in range(0, len(order), _CHUNK):
        part = order[start : start + _CHUNK]
        yield from map(_Row._make, zip(*(column[part].tolist() for column in columns), strict=True))


class _Decider:
    """Decides about one product at a time, of one kind of objective."""

    def __init__(self, log: LabelLog, single_label: bool):
        self._ids = [category.id for category in log.taxonomy]
        self._names = log.annotators
        self._sources = log.sources
        self._random = log.sources.index("random") if "random" in log.sources else None
        self._people: dict[tuple[int, ...], tuple[str, ...]] = {}
        self._above = [tuple(above.index for above in log.taxonomy.ancestors(category)) for category in log.taxonomy]
        self._below: dict[int, list[int]] = {}
        for category, above in enumerate(self._above):
            for ancestor in above:
                self._below.setdefault(ancestor, []).append(category)
        self._decide = self._single_label if single_label else self._multi_label

    def __call__(self, rows: Sequence[_Row]) -> ResolvedLabel | str:
        """The label of the product that ``rows`` (ordered by annotator, then time) are about, or why it has none."""
        return self._decide(rows)

    def _single_label(self, rows: Sequence[_Row]) -> ResolvedLabel | str:
        newest = list({row.annotator: row for row in rows}.values()) if len(rows) > 1 else rows
        votes: dict[int, list[_Row]] = {}
        against: Counter[int] = Counter()
        voters = 0
        for row in newest:
            if row.value in (YES, NONE_OF_THESE):
                votes.setdefault(row.category, []).append(row)
                voters += 1
            elif row.value == NO:
                against[row.category] += 1
        for category, winners in votes.items():
            answers = voters + against[category]
            if 2 * len(winners) > answers:
                counted = [row for row in newest if row.value not in (SKIP, RETRACTED)]
                outcome = _Outcome(winners, answers)
                return self._label(self._ids[category] if category >= 0 else None, (), (), [outcome], counted)
        return "tie" if votes else "no_answer"

    def _multi_label(self, rows: Sequence[_Row]) -> ResolvedLabel | str:
        standing = [row for _, theirs in groupby(rows, key=itemgetter(2)) for row in self._standing(theirs)]
        if not standing:
            return "no_answer"
        none = [row for row in standing if row.value == NONE_OF_THESE]
        about: dict[int, tuple[list[_Row], list[_Row]]] = {}
        for row in standing:
            if row.value != NONE_OF_THESE:
                about.setdefault(row.category, ([], []))[row.value == NO].append(row)
        decided: dict[int, list[int]] = {YES: [], NO: []}
        outcomes = []
        for category, (yes, no_to_it) in sorted(about.items()):
            no = no_to_it + none
            if len(yes) != len(no):
                value, winners = (YES, yes) if len(yes) > len(no) else (NO, no)
                decided[value].append(category)
                outcomes.append(_Outcome(winners, len(yes) + len(no)))
        if none and not decided[YES]:
            others = {row.annotator for row in standing if row.value == YES}
            if len(none) > len(others):
                outcomes.append(_Outcome(none, len(none) + len(others)))
        if not outcomes:
            return "tie"
        yes_ids, no_ids = (tuple(self._ids[category] for category in decided[value]) for value in (YES, NO))
        return self._label(None, yes_ids, no_ids, outcomes, standing)

    def _label(
        self,
        category: str | None,
        yes: tuple[str, ...],
        no: tuple[str, ...],
        outcomes: list[_Outcome],
        counted: Iterable[_Row],
    ) -> ResolvedLabel:
        rows = [row for outcome in outcomes for row in outcome.rows]
        random = [row for row in rows if row.source == self._random]
        if all(any(row.source == self._random for row in outcome.rows) for outcome in outcomes):
            newest = max(random, key=lambda row: row.time)
            probability = None if newest.probability != newest.probability else newest.probability
        else:
            newest = max((row for row in rows if row.source != self._random), key=lambda row: row.time)
            probability = None
        agreement = sum(len(outcome.rows) / outcome.answers for outcome in outcomes) / len(outcomes)
        who = tuple(sorted({row.annotator for row in counted}))
        people = self._people.get(who)
        if people is None:
            people = self._people[who] = tuple(sorted(self._names[index] for index in who))
        return ResolvedLabel(category, yes, no, self._sources[newest.source], probability, people, agreement)

    def _standing(self, rows: Iterable[_Row]) -> list[_Row]:
        """Of one annotator's rows about a product, the oldest first, the answers that still stand, and what they imply
        about categories above and below."""
        answers: dict[int, _Row] = {}
        for row in rows:
            if row.category == _NONE:
                if row.value == RETRACTED:
                    answers.clear()
                elif row.value == NONE_OF_THESE:
                    # It contradicts every yes before it.
                    answers = {category: old for category, old in answers.items() if old.value == NO}
                    answers[_NONE] = row
                continue
            answers.pop(row.category, None)
            if row.value == YES:
                for contradicted in (_NONE, *self._above[row.category]):
                    if contradicted in answers and answers[contradicted].value != YES:
                        del answers[contradicted]
            elif row.value == NO:
                for contradicted in self._below.get(row.category, ()):
                    if contradicted in answers and answers[contradicted].value == YES:
                        del answers[contradicted]
            if row.value in (YES, NO):
                answers[row.category] = row
        implied: dict[int, _Row] = {}
        for category, row in answers.items():
            if category != _NONE:
                others = self._above[category] if row.value == YES else self._below.get(category, ())
                implied |= {other: row._replace(category=other) for other in others}
        return list((implied | answers).values())
