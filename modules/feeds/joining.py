"""Products to serialised tf.Examples: labels joined, true categories looked up, rules evaluated."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from modules import examples
from modules.category_text import Names
from modules.counting import counted
from modules.errors import Problem
from modules.feeds.encoding import ByName, TextHeaders, bytes_entry, example_of, float_entry, int_entry
from modules.feeds.ids import LabelIds
from modules.feeds.mapping import Product
from modules.feeds.product_entries import ProductEntries
from modules.feeds.truth import TrueCategories
from modules.images.outcome import Picture
from modules.labels.assignments import assigned
from modules.labels.model import ResolvedLabel, ResolvedLabels
from modules.objectives import Objective
from modules.objectives.sources import MODEL, PEOPLE, RULES
from modules.rules import RuleSet
from modules.rules.engine import RuleEngine
from modules.settings.feed import SPLITS, Split
from modules.settings.workflow import LabelsSettings
from modules.taxonomy import Category, Taxonomy

_CACHE = 100_000
_CACHED_NUMBERS = 1_000_000
"""Of labels that are kept serialised: one that says no to every other category of a large taxonomy is long."""
IMPORT = "import"
RULES_SOURCE = "rules"
ASSIGNED = "assigned"
"""Source of labels from a column or file of category assignments; never measured on."""
MAX_UNKNOWN = 20
TRAIN = SPLITS[0]


class Entry(NamedTuple):
    """A product's label for one objective, as it goes into the example.

    Attributes:
      classes: indices of the (positive) classes; none for an exclusive label "none of these".
      no: indices of the classes that people said no to.
      source: where the label comes from.
      weight: in the evaluation.
      rest: whether the categories that are not named are assumed to be no, in training.
    """

    classes: tuple[int, ...]
    no: tuple[int, ...]
    source: str
    weight: float
    rest: bool = False


Assignments = Mapping[str, tuple[str, ...]]
"""Product id to the ids of its categories."""

LabelTable = Mapping[str, Mapping[str, Entry]]
"""Objective to product id to entry."""


class Signature(NamedTuple):
    """What is counted about an example; many products share one.

    Attributes:
      rules: whether a rule fired.
      labels: the objectives for which it is labelled, each with the label's source.
      image: what became of its image; empty without images.
      untold: number fields whose value tells no number.
      source: the number of its feed among the workflow's.
    """

    split: Split
    rules: bool
    labels: tuple[tuple[str, str], ...]
    image: str = ""
    untold: tuple[str, ...] = ()
    source: int = 0


def label_table(
    resolved: ResolvedLabels,
    objectives: Mapping[str, Objective],
    taxonomy: Taxonomy,
    settings: LabelsSettings,
    assignments: Mapping[str, Assignments] | None = None,
) -> LabelTable:
    """The entries of all labels that lie in files, for the objectives that do not learn from rules alone.

    What a person says of a product comes before what another source says.

    Args:
      assignments: file of category assignments to what it assigns.
    """
    table: dict[str, dict[str, Entry]] = {}
    for name, objective in objectives.items():
        if objective.learns_from_rules:
            continue
        sources = objective.label_sources
        index = {category.id: i for i, category in enumerate(objective.classes(taxonomy))}
        given = {
            product: label
            for product, label in resolved[name].items()
            if (MODEL if label.source == MODEL else PEOPLE) in sources.sources
            and (sources.sampling in (None, label.source) or label.source == MODEL)
        }
        # Where nobody has ever said no, a yes is all that there is to say.
        only_yes = not objective.single_label and not any(label.no for label in given.values())
        table[name] = {
            product: Entry(
                tuple(index[c] for c in ((label.category_id,) if label.category_id else label.yes)),
                tuple(index[c] for c in label.no),
                label.source,
                _weight(label, settings.evaluate_imported),
                only_yes and bool(label.yes),
            )
            for product, label in given.items()
        }
        assigned = [(ASSIGNED, (assignments or {})[file]) for file in sources.files]
        for other in sources.objectives:
            assigned.append((other, {p: (r.category_id,) for p, r in resolved[other].items() if r.category_id}))
        merged: dict[str, tuple[str, dict[int, None]]] = {}
        for source, products in assigned:
            for product, ids in products.items():
                classes = merged.setdefault(product, (source, {}))[1]
                classes.update(dict.fromkeys(classes_of(ids, objective, taxonomy, index)))
        for product, (source, numbers) in merged.items():
            if numbers:
                table[name].setdefault(product, Entry(tuple(numbers), (), source, 0.0, not objective.single_label))
    return table


def classes_of(ids: Iterable[str], objective: Objective, taxonomy: Taxonomy, index: Mapping[str, int]) -> list[int]:
    """The classes that assigned categories stand for: of independent ones also those above; else the first one."""
    if objective.single_label:
        return [index[category] for category in ids if category in index][:1]
    lineages = [[*(above.id for above in taxonomy.ancestors(category)), category] for category in ids]
    return sorted({index[category] for lineage in lineages for category in lineage})


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
        self._ids = ids or LabelIds()
        self._engine = RuleEngine(rules) if rules is not None else None
        self._objectives = objectives
        self._columns = {name: objective.label_sources.columns for name, objective in objectives.items()}
        self._with_rules = {
            name for name, objective in objectives.items()
            if RULES in objective.label_sources.sources and not objective.learns_from_rules
        }  # fmt: skip
        self._classes = {
            name: {category.id: i for i, category in enumerate(objective.classes(taxonomy))}
            for name, objective in objectives.items()
            if self._columns[name] or name in self._with_rules
        }
        self._unknown_assigned: dict[tuple[str, str], list[Any]] = {}
        self._truth = settings.truth
        self._categories = TrueCategories(taxonomy, settings.truth is not None and settings.truth.cut_to_taxonomy)
        self._truth_weight = 1.0 if settings.truth and (settings.truth.evaluate or settings.evaluate_imported) else 0.0
        by_people = {name: objective for name, objective in objectives.items() if not objective.learns_from_rules}
        self._single_label = [
            (name, objective, table.get(name, {}), settings.truth is not None and settings.truth.objective == name)
            for name, objective in by_people.items()
            if objective.single_label
        ]
        independent = settings.truth.independent if settings.truth is not None else None
        self._yes_no = [
            (name, objective, table.get(name, {}), name == independent)
            for name, objective in by_people.items()
            if not objective.single_label
        ]
        self._by_rules = [name for name in objectives if name not in by_people]
        self._unreached_weight = {name: objective.unreached_weight for name, objective in objectives.items()}
        self._headers = ByName(TextHeaders)
        self._product = ProductEntries()
        self._top = [taxonomy.top(category).name.encode() for category in taxonomy.exclusive]
        self._class = {category.id: i for i, category in enumerate(taxonomy.exclusive)}
        self._index = {category.id: category.index for category in taxonomy}
        self._joined: defaultdict[str, set[str]] = defaultdict(set)
        self._fired: dict[tuple[str, ...], tuple[bool, bytes, bytes, tuple[str, ...]]] = {}
        self._labels: dict[tuple[str, Entry | None], bytes] = {}
        self._room = _CACHED_NUMBERS
        self._truths: dict[Names, Category | None] = {}
        self._all: dict[tuple[Names, ...], Entry] = {}
        self._unknown: dict[Names, list[object]] = {}

    def example(
        self, product: Product, split: Split, file: str, line: int, picture: Picture | None = None, source: int = 0
    ) -> tuple[bytes, Signature]:
        """A serialised tf.Example as :mod:`modules.examples` describes it, and what is to be counted about it.

        ``file`` and ``line`` say where the product stood, for problems with its true category, and ``source`` in the
        files of which feed; without ``picture`` the example has no feature for an image.
        """
        entries = self._product.entries(product)
        if picture is not None:
            entries.append(bytes_entry(examples.IMAGE_BYTES, [picture.data]))
        fired, rule_entries, top, implied = self._rules(product.text)
        entries.append(rule_entries)
        counted = [(name, RULES_SOURCE) for name in self._by_rules] if fired else []
        labelled = False
        for name, objective, table, from_truth in self._single_label:
            entry = self._given(name, table, product.id, split) or self._assigned(name, product, file, line, ())
            if entry is None and from_truth and product.truth:
                entry = self._from_truth(product.truth, split, file, line)
            if entry is not None and not entry.classes:
                entry = None
            entries.append(self._label(name, objective, entry))
            if entry is not None:
                counted.append((name, entry.source))
                if not labelled:
                    top, labelled = self._top[entry.classes[0]], True
        for name, objective, table, from_truth in self._yes_no:
            entry = self._given(name, table, product.id, split)
            if entry is None and from_truth and product.truths:
                entry = self._from_truths(product.truths, split, file, line)
            entry = entry or self._assigned(name, product, file, line, implied)
            entries.append(self._label(name, objective, entry))
            if entry is not None:
                counted.append((name, entry.source))
        entries += self._headers[examples.TOP_CATEGORY][len(top)], top
        image = picture.reason if picture is not None else ""
        return example_of(entries), Signature(split, fired, tuple(counted), image, product.untold, source)

    def _given(self, name: str, table: Mapping[str, Entry], product: str, split: Split) -> Entry | None:
        """What the label files say of a product; what a model says, of those that are learnt from alone.

        Also where they are older than the second feed, or a spreadsheet has made a number of its id.
        """
        for spelt in self._ids.spellings(product) if table else ():
            entry = table.get(spelt)
            if entry is not None:
                self._joined[name].add(spelt)
                # Neither thresholds nor early stopping may be judged by a guess.
                return entry if entry.source != MODEL or split == TRAIN else None
        return None

    def _assigned(self, name: str, product: Product, file: str, line: int, implied: tuple[str, ...]) -> Entry | None:
        """What the feed's own columns, and the rules beside other sources, say of a product."""
        ids: dict[str, None] = {}
        for column in self._columns[name]:
            categories, unknown = assigned(product.assigned.get(column), self._taxonomy)
            ids.update(dict.fromkeys(categories))
            if unknown:
                seen = self._unknown_assigned.setdefault((column, unknown), [file, line, 0])
                seen[2] += 1
        source = ASSIGNED if ids else RULES_SOURCE
        if name in self._with_rules:
            ids.update(dict.fromkeys(implied))
        if not ids:
            return None
        objective = self._objectives[name]
        classes = classes_of(ids, objective, self._taxonomy, self._classes[name])
        return Entry(tuple(classes), (), source, 0.0, not objective.single_label) if classes else None

    def take_unknown_assigned(self) -> list[tuple[str, str, str, int, int]]:
        """Unknown assigned categories since the last call: (column, text, file and line of the first, products)."""
        unknown = [(*key, *seen) for key, seen in self._unknown_assigned.items()]
        self._unknown_assigned.clear()
        return unknown

    def take_joined(self) -> dict[str, list[str]]:
        """Since the last call, per objective, the ids in the label files that are some product's."""
        joined = {name: sorted(ids) for name, ids in self._joined.items() if ids}
        self._joined.clear()
        return joined

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
                if entry.rest:
                    entries += int_entry(examples.label_rest(name), [1])
            if self._room > 0:
                self._room -= 1 + (len(entry.classes) + len(entry.no) if entry is not None else 0)
                self._labels[key] = entries
        return entries

    def _rules(self, text: Mapping[str, str]) -> tuple[bool, bytes, bytes, tuple[str, ...]]:
        """Whether a rule fires, the features that follow from the rules, the first one's top-level category, and the
        categories that the rules imply."""
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
            features = bool(fired), entries, top, tuple(implied)
            if len(self._fired) < _CACHE:
                self._fired[key] = features
        return features

    def _from_truth(self, names: Names, split: Split, file: str, line: int) -> Entry | None:
        """The label of an exclusive objective that a true category is; None where it is no exclusive one.

        Where only the exclusive categories can be told apart, the true category's exclusive ancestor does not stand for
        it: that one means "the rest".
        """
        category = self._true_category(names, split, file, line)
        index = self._class.get(category.id, -1) if category is not None else -1
        return Entry((index,), (), IMPORT, self._truth_weight) if index >= 0 else None

    def _from_truths(self, truths: tuple[Names, ...], split: Split, file: str, line: int) -> Entry | None:
        """The label of an independent objective: all true categories and what is above them, and nothing else."""
        looked_up = [self._true_category(names, split, file, line) for names in truths]
        categories = [category for category in looked_up if category is not None]
        if not categories:
            return None
        entry = self._all.get(truths)
        if entry is None:
            yes = {above.index for c in categories for above in (c, *self._taxonomy.ancestors(c))}
            no = tuple(index for index in range(len(self._taxonomy)) if index not in yes)
            entry = Entry(tuple(sorted(yes)), no, IMPORT, self._truth_weight)
            if len(self._all) < _CACHE // max(1, len(self._taxonomy)):
                self._all[truths] = entry
        return entry

    def _true_category(self, names: Names, split: Split, file: str, line: int) -> Category | None:
        """The category of a true path; None in a split without true labels, or if the taxonomy lacks it."""
        assert self._truth is not None
        if split not in self._truth.splits:
            return None
        if names in self._truths:
            category = self._truths[names]
        else:
            category = self._categories.find(names)
            if len(self._truths) < _CACHE:
                self._truths[names] = category
        if category is None and not self._truth.cut_to_taxonomy:
            seen = self._unknown.setdefault(names, [file, line, 0])
            seen[2] += 1  # type: ignore[operator]
        return category

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
        problems.append(Problem(file, f"not in the taxonomy ({counted(count, 'product')})", line, column, text, hint))
    if len(products) > MAX_UNKNOWN:
        rest = counted(
            len(products) - MAX_UNKNOWN,
            "more true category is not in the taxonomy",
            "more true categories are not in the taxonomy",
        )
        problems.append(Problem("", rest, key="labels.truth", hint="labels.truth.cut_to_taxonomy cuts them"))
    return problems


def unknown_assigned_problems(unknown: list[tuple[str, str, str, int, int]], taxonomy: Taxonomy) -> list[Problem]:
    """What to say about assigned categories that are not in the taxonomy: the most frequent ones of all columns."""
    products: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], tuple[str, int]] = {}
    for column, text, file, line, count in unknown:
        products[column, text] += count
        first[column, text] = min(first.get((column, text), (file, line)), (file, line))
    problems = []
    for (column, text), count in products.most_common(MAX_UNKNOWN):
        near = taxonomy.nearest(text)
        hint = f"did you mean {near.text!r}?" if near else ""
        file, line = first[column, text]
        problems.append(Problem(file, f"not in the taxonomy ({counted(count, 'product')})", line, column, text, hint))
    return problems
