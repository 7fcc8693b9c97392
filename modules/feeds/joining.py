"""Products to serialised tf.Examples: labels joined, true categories looked up, rules evaluated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from modules import examples
from modules.errors import Problem
from modules.feeds.encoding import TextHeaders, bytes_entry, example_of, float_entry, int_entry
from modules.feeds.ids import LabelIds
from modules.feeds.mapping import Product
from modules.images.outcome import Picture
from modules.labels.model import ResolvedLabel, ResolvedLabels
from modules.objectives import Objective
from modules.rules import RuleSet
from modules.rules.engine import RuleEngine
from modules.settings.feed import Split
from modules.settings.workflow import LabelsSettings
from modules.taxonomy import Taxonomy, UnknownCategory
from modules.taxonomy.merging import SpelledPaths

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
      image: what became of its image; empty without images.
      source: the number of its feed among the workflow's.
    """

    split: Split
    rules: bool
    labels: tuple[tuple[str, str], ...]
    joined: tuple[str, ...]
    image: str = ""
    source: int = 0


def label_table(
    resolved: ResolvedLabels, objectives: Mapping[str, Objective], taxonomy: Taxonomy, settings: LabelsSettings
) -> LabelTable:
    """The entries of all labels from people, for the objectives that learn from people."""
    table = {}
    for name, objective in objectives.items():
        if objective.learns_from_rules:
            continue
        index = {category.id: i for i, category in enumerate(objective.classes(taxonomy))}
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
        ids: LabelIds | None = None,
    ):
        """``ids``: which product the ids of ``table`` mean; None: those with the same id."""
        self._taxonomy = taxonomy
        self._paths = SpelledPaths(taxonomy)
        self._ids = ids or LabelIds()
        self._engine = RuleEngine(rules) if rules is not None else None
        self._truth = settings.truth
        self._truth_weight = 1.0 if settings.truth and (settings.truth.evaluate or settings.evaluate_imported) else 0.0
        by_people = {name: objective for name, objective in objectives.items() if not objective.learns_from_rules}
        self._single_label = [
            (name, objective, table.get(name, {}), settings.truth is not None and settings.truth.objective == name)
            for name, objective in by_people.items()
            if objective.single_label
        ]
        self._yes_no = [(n, o, table.get(n, {})) for n, o in by_people.items() if not o.single_label]
        self._by_rules = [name for name in objectives if name not in by_people]
        self._unreached_weight = {name: objective.unreached_weight for name, objective in objectives.items()}
        self._headers = {
            name: TextHeaders(name) for name in (examples.ID, *examples.TEXT_FIELDS, examples.TOP_CATEGORY)
        }
        self._top = [taxonomy.top(category).name.encode() for category in taxonomy.exclusive]
        self._class = {category.id: i for i, category in enumerate(taxonomy.exclusive)}
        self._index = {category.id: category.index for category in taxonomy}
        self._fired: dict[tuple[str, ...], tuple[bool, bytes, bytes]] = {}
        self._labels: dict[tuple[str, Entry | None], bytes] = {}
        self._truths: dict[tuple[str, ...], int] = {}
        self._unknown: dict[tuple[str, ...], list[object]] = {}

    def example(
        self, product: Product, split: Split, file: str, line: int, picture: Picture | None = None, source: int = 0
    ) -> tuple[bytes, Signature]:
        """A serialised tf.Example as :mod:`modules.examples` describes it, and what is to be counted about it.

        ``file`` and ``line`` say where the product stood, for problems with its true category, and ``source`` in the
        files of which feed; without ``picture`` the example has no feature for an image.
        """
        data = product.id.encode()
        entries = [self._headers[examples.ID][len(data)], data]
        for name, text in product.text.items():
            data = text.encode()
            entries += self._headers[name][len(data)], data
        entries += [float_entry(name, vector) for name, vector in product.vectors.items()]
        if picture is not None:
            entries.append(bytes_entry(examples.IMAGE_BYTES, [picture.data]))
        fired, rule_entries, top = self._rules(product.text)
        entries.append(rule_entries)
        counted, joined = [(name, RULES_SOURCE) for name in self._by_rules] if fired else [], []
        labelled = False
        for name, objective, table, from_truth in self._single_label:
            entry = self._entry(table, product.id)
            if entry is not None:
                joined.append(name)
            elif from_truth and product.truth:
                entry = self._from_truth(product.truth, split, file, line)
            if entry is not None and not entry.classes:
                entry = None
            entries.append(self._label(name, objective, entry))
            if entry is not None:
                counted.append((name, entry.source))
                if not labelled:
                    top, labelled = self._top[entry.classes[0]], True
        for name, objective, table in self._yes_no:
            entry = self._entry(table, product.id)
            entries.append(self._label(name, objective, entry))
            if entry is not None:
                counted.append((name, entry.source))
                joined.append(name)
        entries += self._headers[examples.TOP_CATEGORY][len(top)], top
        image = picture.reason if picture is not None else ""
        return example_of(entries), Signature(split, fired, tuple(counted), tuple(joined), image, source)

    def _entry(self, table: Mapping[str, Entry], product_id: str) -> Entry | None:
        """The product's label, also one that is older than the second feed."""
        entry = table.get(product_id)
        if entry is None and (plain := self._ids.plain_id(product_id)) is not None:
            entry = table.get(plain)
        return entry

    def _label(self, name: str, objective: Objective, entry: Entry | None) -> bytes:
        """The features of a label, or of none."""
        key = name, entry
        entries = self._labels.get(key)
        if entries is None:
            labels = objective.label_entries(name, *((entry.classes, entry.no) if entry else ((), ())))
            entries = b"".join(int_entry(feature, classes) for feature, classes in labels)
            entries += float_entry(examples.eval_weight(name), [entry.weight if entry else 0.0])
            if entry is not None:
                entries += bytes_entry(examples.label_source(name), [entry.source.encode()])
            if len(self._labels) < _CACHE:
                self._labels[key] = entries
        return entries

    def _rules(self, text: Mapping[str, str]) -> tuple[bool, bytes, bytes]:
        """Whether a rule fires, the features that follow from the rules, the first one's top-level category."""
        fired = self._engine.fire(text) if self._engine is not None else []
        key = tuple(rule.id for rule in fired)
        features = self._fired.get(key)
        if features is None:
            entries = bytes_entry(examples.RULES, [rule.encode() for rule in key])
            implied = self._engine.implied(fired) if self._engine is not None else ()
            for name in self._by_rules:
                entries += int_entry(examples.label(name), [self._index[category] for category in implied])
                entries += float_entry(examples.eval_weight(name), [1.0 if fired else self._unreached_weight[name]])
            top = self._taxonomy.top(fired[0].category).name.encode() if fired else b""
            features = bool(fired), entries, top
            if len(self._fired) < _CACHE:
                self._fired[key] = features
        return features

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
                spelled = self._paths.find(names[:end])
                if spelled is None and not self._truth.cut_to_taxonomy:
                    return -2
                if spelled is None:
                    continue
                category = spelled
            # Where only the exclusive nodes can be told apart, the true category's exclusive ancestor does not stand
            # for it: that one means "the rest".
            return self._class.get(category.id, -1)
        return -1

    def take_unknown(self) -> list[tuple[tuple[str, ...], str, int, int]]:
        """Unknown true categories since the last call: (names, file and line of the first, number of products)."""
        unknown = [(names, str(seen[0]), seen[1], seen[2]) for names, seen in self._unknown.items()]
        self._unknown.clear()
        return unknown  # type: ignore[return-value]


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
