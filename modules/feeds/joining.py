"""Products to serialised tf.Examples: labels joined, true categories looked up, rules evaluated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from modules import examples
from modules.errors import Problem
from modules.feeds.mapping import Product
from modules.labels.model import ResolvedLabel, ResolvedLabels
from modules.objectives import classes_of
from modules.rules import RuleSet
from modules.settings.feed import Split
from modules.settings.model import Objective
from modules.settings.workflow import LabelsSettings
from modules.taxonomy import Taxonomy, UnknownCategory

_CACHE = 100_000
IMPORT = "import"
RULES_SOURCE = "rules"
MAX_UNKNOWN = 20


class Entry(NamedTuple):
    """A product's label for one objective, as it goes into the example.

    Attributes:
      classes: indices of the (positive) classes; none for an exclusive label "none of these".
      no: indices of the classes that people said no to.
      source: where the label comes from.
      weight: in the evaluation.
    """

    classes: tuple[int, ...]
    no: tuple[int, ...]
    source: str
    weight: float


LabelTable = Mapping[str, Mapping[str, Entry]]
"""Objective to product id to entry."""


class Signature(NamedTuple):
    """What is counted about an example; many products share one.

    Attributes:
      rules: whether a rule fired.
      labels: the objectives for which it is labelled, each with the label's source.
      joined: the objectives for which the label files have the product.
    """

    split: Split
    rules: bool
    labels: tuple[tuple[str, str], ...]
    joined: tuple[str, ...]


def label_table(
    resolved: ResolvedLabels, objectives: Mapping[str, Objective], taxonomy: Taxonomy, settings: LabelsSettings
) -> LabelTable:
    """The entries of all labels from people, for the objectives that learn from people."""
    table = {}
    for name, objective in objectives.items():
        if objective.kind == "multi_label" and objective.labels == "rules":
            continue
        index = {category.id: i for i, category in enumerate(classes_of(objective, taxonomy))}
        table[name] = {
            product: Entry(
                tuple(index[c] for c in ((label.category_id,) if label.category_id else label.yes)),
                tuple(index[c] for c in label.no),
                label.source,
                _weight(label, settings.evaluate_imported),
            )
            for product, label in resolved[name].items()
        }
    return table


def _weight(label: ResolvedLabel, evaluate_imported: bool) -> float:
    """Labels that a strategy picked are biased and never measured on."""
    if label.source == "random":
        return 1.0 / label.inclusion_probability if label.inclusion_probability else 1.0
    return 1.0 if label.source == IMPORT and evaluate_imported else 0.0


class Joiner:
    """Makes examples of products; build one per process, as it holds the compiled rules."""

    def __init__(
        self,
        objectives: Mapping[str, Objective],
        taxonomy: Taxonomy,
        rules: RuleSet | None,
        table: LabelTable,
        settings: LabelsSettings,
    ):
        import tensorflow as tf

        self._example = tf.train.Example
        self._taxonomy = taxonomy
        self._engine = rules.compile() if rules is not None else None
        self._truth = settings.truth
        self._truth_weight = 1.0 if settings.truth and (settings.truth.evaluate or settings.evaluate_imported) else 0.0
        self._exclusive = [
            (name, table.get(name, {}), settings.truth is not None and settings.truth.objective == name, _names(name))
            for name, objective in objectives.items()
            if objective.kind == "exclusive"
        ]
        self._people = [
            (name, table.get(name, {}), _names(name))
            for name, objective in objectives.items()
            if objective.kind == "multi_label" and objective.labels == "people"
        ]
        self._by_rules = [
            (name, _names(name))
            for name, objective in objectives.items()
            if objective.kind == "multi_label" and objective.labels == "rules"
        ]
        self._top = [taxonomy.top(category).name.encode() for category in taxonomy.exclusive]
        self._class = {category.id: i for i, category in enumerate(taxonomy.exclusive)}
        self._index = {category.id: category.index for category in taxonomy}
        self._fired: dict[tuple[str, ...], tuple[list[bytes], list[int], bytes]] = {}
        self._truths: dict[tuple[str, ...], int] = {}
        self._unknown: dict[tuple[str, ...], list[object]] = {}

    def example(self, product: Product, split: Split, file: str, line: int) -> tuple[bytes, Signature]:
        """A serialised tf.Example as :mod:`modules.examples` describes it, and what is to be counted about it.

        ``file`` and ``line`` say where the product stood, for problems with its true category.
        """
        example = self._example()
        feature = example.features.feature
        feature[examples.ID].bytes_list.value.append(product.id.encode())
        for name, text in product.text.items():
            feature[name].bytes_list.value.append(text.encode())
        for name, vector in product.vectors.items():
            feature[name].float_list.value.extend(vector.tolist())
        rule_ids, implied, top = self._rules(product.text)
        feature[examples.RULES].bytes_list.value.extend(rule_ids)
        counted, joined = [], []
        for name, (label, _, _, weight) in self._by_rules:
            feature[label].int64_list.value.extend(implied)
            feature[weight].float_list.value.append(1.0)
            if implied:
                counted.append((name, RULES_SOURCE))
        labelled = False
        for name, entries, from_truth, (label, _, source, weight) in self._exclusive:
            entry = entries.get(product.id)
            if entry is not None:
                joined.append(name)
            elif from_truth and product.truth:
                entry = self._from_truth(product.truth, split, file, line)
            if entry is None or not entry.classes:
                feature[label].int64_list.value.append(examples.UNLABELLED)
                feature[weight].float_list.value.append(0.0)
                continue
            feature[label].int64_list.value.append(entry.classes[0])
            feature[source].bytes_list.value.append(entry.source.encode())
            feature[weight].float_list.value.append(entry.weight)
            counted.append((name, entry.source))
            if not labelled:
                top, labelled = self._top[entry.classes[0]], True
        for name, entries, (label, no, source, weight) in self._people:
            entry = entries.get(product.id)
            feature[label].int64_list.value.extend(entry.classes if entry else ())
            feature[no].int64_list.value.extend(entry.no if entry else ())
            feature[weight].float_list.value.append(entry.weight if entry else 0.0)
            if entry is not None:
                feature[source].bytes_list.value.append(entry.source.encode())
                counted.append((name, entry.source))
                joined.append(name)
        feature[examples.TOP_CATEGORY].bytes_list.value.append(top)
        return example.SerializeToString(), Signature(split, bool(rule_ids), tuple(counted), tuple(joined))

    def _rules(self, text: Mapping[str, str]) -> tuple[list[bytes], list[int], bytes]:
        """Ids of the rules that fire, classes they imply, name of the first one's top-level category."""
        if self._engine is None:
            return [], [], b""
        fired = self._engine.fire(text)
        key = tuple(rule.id for rule in fired)
        found = self._fired.get(key)
        if found is None:
            implied = [self._index[category] for category in self._engine.implied(fired)]
            top = self._taxonomy.top(fired[0].category).name.encode() if fired else b""
            found = [rule.encode() for rule in key], implied, top
            if len(self._fired) < _CACHE:
                self._fired[key] = found
        return found

    def _from_truth(self, names: tuple[str, ...], split: Split, file: str, line: int) -> Entry | None:
        assert self._truth is not None
        if split not in self._truth.splits:
            return None
        index = self._truths.get(names)
        if index is None:
            index = self._lookup(names)
            if len(self._truths) < _CACHE:
                self._truths[names] = index
        if index < -1:
            seen = self._unknown.setdefault(names, [file, line, 0])
            seen[2] += 1  # type: ignore[operator]
        return Entry((index,), (), IMPORT, self._truth_weight) if index >= 0 else None

    def _lookup(self, names: tuple[str, ...]) -> int:
        """The exclusive class of a true category; -1 if it has none, -2 if the taxonomy lacks it."""
        assert self._truth is not None
        for end in range(len(names), 0, -1):
            try:
                # A single name or text may also be an id.
                category = self._taxonomy.find(names[0] if end == 1 and len(names) == 1 else names[:end])
            except UnknownCategory:
                if not self._truth.cut_to_taxonomy:
                    return -2
                continue
            # Where only the exclusive nodes can be told apart, the true category's exclusive ancestor does not stand
            # for it: that one means "the rest".
            return self._class.get(category.id, -1)
        return -1

    def take_unknown(self) -> list[tuple[tuple[str, ...], str, int, int]]:
        """Unknown true categories since the last call: (names, file and line of the first, number of products)."""
        found = [(names, str(seen[0]), seen[1], seen[2]) for names, seen in self._unknown.items()]
        self._unknown.clear()
        return found  # type: ignore[return-value]


def _names(objective: str) -> tuple[str, str, str, str]:
    return (
        examples.label(objective),
        examples.label_no(objective),
        examples.label_source(objective),
        examples.eval_weight(objective),
    )


def unknown_problems(
    unknown: list[tuple[tuple[str, ...], str, int, int]], taxonomy: Taxonomy, column: str
) -> list[Problem]:
    """What to say about true categories that are not in the taxonomy: the most frequent ones, the nearest of each."""
    products: Counter[tuple[str, ...]] = Counter()
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    for names, file, line, count in unknown:
        products[names] += count
        first[names] = min(first.get(names, (file, line)), (file, line))
    problems = []
    for names, count in products.most_common(MAX_UNKNOWN):
        text = " > ".join(names)
        nearest = taxonomy.nearest(text)
        hint = f"did you mean {nearest.text!r}?" if nearest else "or set labels.truth.cut_to_taxonomy"
        file, line = first[names]
        problems.append(Problem(file, f"not in the taxonomy ({count:,} products)", line, column, text, hint))
    if len(products) > MAX_UNKNOWN:
        rest = f"{len(products) - MAX_UNKNOWN:,} more true categories are not in the taxonomy"
        problems.append(Problem("", rest, key="labels.truth", hint="labels.truth.cut_to_taxonomy cuts them"))
    return problems
