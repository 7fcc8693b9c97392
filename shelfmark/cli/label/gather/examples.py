"""Products and what the rules did to them, out of a run's examples."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.examples import ID, RULES, SPLIT_FOLDER, UNLABELLED, is_product_column, label
from modules.rules import RuleSet
from modules.taxonomy import Taxonomy

# What TensorFlow says when it starts is for nobody who imports a batch.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHOWN = 8
"""Examples per rule and kind."""

_BATCH = 4096


@dataclass
class RuleTally:
    """How often each rule fired, and how its category compares with the labels.

    Attributes:
      fires, alone: rule to products. judged: (rule, label's category) to labelled products.
      catches: rule to ids of products. judged_ids: (rule, label's category) to ids.
      labelled, missed: category to labelled products in it or below it, and to those that no rule of it (or below it)
        reaches. missed_ids: their ids.
    """

    fires: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    judged: Counter[tuple[str, str]] = field(default_factory=Counter)
    catches: dict[str, list[str]] = field(default_factory=dict)
    judged_ids: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    labelled: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    missed_ids: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """A product's texts and numbers, attributes included, its split and the rules that fired."""

    id: str
    fields: dict[str, str]
    split: str
    rules: tuple[str, ...]


def tally_rules(folder: Path, rules: RuleSet | None, taxonomy: Taxonomy, objective: str | None) -> RuleTally:
    """One pass over all examples.

    Args:
      folder: of the run's examples.
      rules: the rules that are counted; None: the run has none.
      taxonomy: the one that the run used.
      objective: the exclusive one, whose labels judge the rules; None: nothing is judged.
    """
    import tensorflow as tf

    rule_tally = RuleTally()
    if rules is None:
        return rule_tally
    lineage = {rule.id: {*(a.id for a in taxonomy.ancestors(rule.category)), rule.category} for rule in rules}
    has_rules = {category for line in lineage.values() for category in line}
    spec: dict[str, Any] = {ID: tf.io.FixedLenFeature([], tf.string), RULES: tf.io.VarLenFeature(tf.string)}
    if objective is not None:
        spec[label(objective)] = tf.io.FixedLenFeature([], tf.int64, UNLABELLED)
    for _, serialised in _batches(folder):
        parsed = tf.io.parse_example(serialised, spec)
        ids = parsed[ID].numpy().tolist()
        fired = tf.RaggedTensor.from_sparse(parsed[RULES]).to_list()
        classes = parsed[label(objective)].numpy().tolist() if objective is not None else [-1] * len(ids)
        for product, names, index in zip(ids, fired, classes, strict=True):
            if names or index >= 0:
                fired_names = [name.decode() for name in names]
                category = taxonomy.exclusive[index].id if index >= 0 else None
                _count(
                    rule_tally, product.decode("utf-8", "replace"), fired_names, category, taxonomy, lineage, has_rules
                )
    return rule_tally


def _count(
    rule_tally: RuleTally,
    product: str,
    fired: Sequence[str],
    category: str | None,
    taxonomy: Taxonomy,
    lineage: dict[str, set[str]],
    has_rules: Collection[str],
) -> None:
    reached: set[str] = set()
    for name in fired:
        rule_tally.fires[name] += 1
        rule_tally.alone[name] += len(fired) == 1
        _keep(rule_tally.catches, name, product)
        reached |= lineage.get(name, set())
        if category is not None:
            rule_tally.judged[name, category] += 1
            _keep(rule_tally.judged_ids, (name, category), product)
    if category is not None:
        for above in (*(a.id for a in taxonomy.ancestors(category)), category):
            if above in has_rules:
                rule_tally.labelled[above] += 1
                if above not in reached:
                    rule_tally.missed[above] += 1
                    _keep(rule_tally.missed_ids, above, product)


def _keep(ids: dict[Any, list[str]], key: Any, product: str) -> None:
    kept = ids.setdefault(key, [])
    if len(kept) < SHOWN:
        kept.append(product)


def read_examples(folder: Path, wanted: Collection[str]) -> dict[str, Example]:
    """The wanted products, by id."""
    import numpy as np
    import tensorflow as tf

    names = np.array(sorted(name.encode() for name in wanted), object)
    wanted_examples: dict[str, Example] = {}
    if not len(names):
        return wanted_examples
    known = set(names.tolist())
    for split, serialised in _batches(folder):
        ids = tf.io.parse_example(serialised, {ID: tf.io.FixedLenFeature([], tf.string)})[ID].numpy().tolist()
        hits = [i for i, name in enumerate(ids) if name in known]
        for data in tf.gather(serialised, hits).numpy().tolist() if hits else ():
            example = _example(tf.train.Example.FromString(data), split)
            wanted_examples[example.id] = example
    return wanted_examples


def every_example(folder: Path) -> Iterator[Example]:
    """All products; streams."""
    import tensorflow as tf

    for split, serialised in _batches(folder):
        for data in serialised.numpy().tolist():
            yield _example(tf.train.Example.FromString(data), split)


def _example(example: Any, split: str) -> Example:
    import numpy as np

    def texts(name: str) -> list[str]:
        return [value.decode("utf-8", "replace") for value in example.features.feature[name].bytes_list.value]

    fields = {}
    # What the examples have, and not what the workflow says: it may have changed since the run.
    for name in filter(is_product_column, sorted(example.features.feature)):
        if (values := texts(name)) and values[0]:
            fields[name] = values[0]
        if len(numbers := example.features.feature[name].float_list.value) == 1:
            # The shortest decimal that is this 32-bit number: what the feed has, up to seven digits.
            fields[name] = np.format_float_positional(np.float32(numbers[0]), trim="-")
    return Example(texts(ID)[0], fields, split, tuple(texts(RULES)))


def _batches(folder: Path) -> Iterator[tuple[str, Any]]:
    """(split, serialised examples as a string tensor) of all splits."""
    import tensorflow as tf

    for part in sorted(folder.glob(f"{SPLIT_FOLDER}*")):
        files = sorted(str(file) for file in part.iterdir() if file.is_file())
        if files:
            data = (
                tf.data.TFRecordDataset(files, compression_type="GZIP", buffer_size=1 << 20).batch(_BATCH).prefetch(2)
            )
            for batch in data:
                yield part.name.removeprefix(SPLIT_FOLDER), batch
