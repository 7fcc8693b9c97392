"""Which words and attributes of a product spoke for a category: each is left out, and the model is asked again.

Leaving out (occlusion: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 3.2; of
words: Li, Monroe & Jurafsky, "Understanding Neural Networks through Representation Erasure", 2016, eq. 1) needs nothing
but the exported model's answers, so that it is the same for every kind of model, and true of what the model says: the
effect of a part is the difference between the score of the product and its score without the part. Effects of parts
that the model reads together, such as a run of two words, do not add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tensorflow as tf

from modules.arrays import Float32Array, Float64Array
from modules.counting import counted
from modules.errors import InputError, Problem
from modules.examples import ID
from modules.features import Feature
from modules.graph_ops.word_spans import word_spans
from modules.predictions.columns import CATEGORY, CATEGORY_ID, PROBABILITY
from modules.taxonomy import Category

if TYPE_CHECKING:
    from modules.predictions.live import LiveModel

MAX_WORDS = 200
"""Distinct words that are left out in turn, at most."""
MAX_CATEGORIES = 5
"""Categories of a product with several that are explained, at most."""

_BATCH = 64
_LEAST = 1e-7
"""Of 1 minus a probability: float32 tells no less."""
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Part:
    """What is left out of a product.

    Attributes:
      text: the word in lower case, or the attribute's value.
      columns: where it stands. times: how often.
    """

    kind: Literal["word", "attribute"]
    text: str
    columns: tuple[str, ...]
    times: int


@dataclass(frozen=True)
class Effect:
    """A part and what it did: the score minus the score without the part, so that positive speaks for the category."""

    part: Part
    effect: float

    def values(self) -> dict[str, Any]:
        """As an object of JSON."""
        said = {"kind": self.part.kind, "text": self.part.text, "columns": list(self.part.columns)}
        return {**said, "times": self.part.times, "effect": round(self.effect, 4) + 0.0}


@dataclass(frozen=True)
class Reasons:
    """What spoke for a category, of one product.

    The score is ln(p / q), p the category's probability and q that of ``against``, or, where a product may have several
    categories, ln(p / (1 - p)).

    Attributes:
      probability: of the category, calibrated. is_guess: nobody has labelled a product of it.
      against: the category that it is compared with, and its probability; None: each category is asked about alone.
      effects: of all parts, the most positive first.
      is_assigned: whether the product is put into the category.
    """

    category: Category
    probability: float
    is_assigned: bool
    is_guess: bool
    against: tuple[Category, float] | None
    effects: tuple[Effect, ...]

    def largest(self, count: int) -> list[Effect]:
        """The ``count`` parts with the largest effects either way, without those that have none, in their order."""
        kept = sorted(self.effects, key=lambda effect: -abs(effect.effect))[:count]
        return [effect for effect in self.effects if effect in kept and abs(effect.effect) >= 5e-5]

    def values(self, count: int) -> dict[str, Any]:
        """As an object of JSON, with ``count`` parts at most."""
        against = None if self.against is None else _said(*self.against)
        facts = {"is_assigned": self.is_assigned, "is_guess": self.is_guess, "against": against}
        return {
            **_said(self.category, self.probability), **facts,
            "parts": [effect.values() for effect in self.largest(count)],
        }  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """What spoke for a product's categories.

    Attributes:
      reasons: objective to what there is to say of each category that is asked about; none of an objective that the
        model has learnt nothing for.
      untried: distinct words that were not left out, since they came behind the first ones.
      parts: that were.
    """

    reasons: Mapping[str, tuple[Reasons, ...]]
    untried: int
    parts: int

    def values(self, objective: str, count: int) -> list[dict[str, Any]]:
        """Of one objective as objects of JSON, with ``count`` parts each at most."""
        return [reasons.values(count) for reasons in self.reasons[objective]]


def evidence_of(
    model: LiveModel, example: bytes, category: Category | None = None, max_words: int = MAX_WORDS
) -> Evidence | None:
    """Leaves out each word and attribute that the model reads, and asks the model again.

    A word counts wherever it stands in the columns that are read as text.

    Args:
      example: the product, a serialised raw tf.Example.
      category: where a product has one category, what the answer is compared with in place of the second best; else
        what is explained in place of what the product is put into. Objectives without it have no reasons.
      max_words: further ones are counted, and not tried.

    Returns:
      None if the model refuses the product.
    """
    product = _read_part(example, model.features)
    parts, untried = _parts(product, model.features, max_words)
    asked = [product.SerializeToString(), *(_without(product, part) for part in parts)]
    batches = [model.all_probabilities(asked[start : start + _BATCH]) for start in range(0, len(asked), _BATCH)]
    answers = [batch for batch in batches if batch is not None]
    if len(answers) < len(batches):
        return None
    reasons = {}
    for name, objective in model.workflow.objectives.items():
        classes, values = objective.classes(model.taxonomy), np.concatenate([answer[name] for answer in answers])
        own: Sequence[Reasons] = ()
        if name not in model.untaught and (category is None or category in classes):
            place = None if category is None else classes.index(category)
            explained = _of_one if objective.single_label else _of_several
            own = list(explained(model, name, classes, values, place, parts))
        reasons[name] = tuple(own)
    return Evidence(reasons, untried, len(parts))


def _said(category: Category, probability: float) -> dict[str, Any]:
    return {CATEGORY_ID: category.id, CATEGORY: category.text, PROBABILITY: round(probability, 4)}


def _of_one(
    model: LiveModel, name: str, classes: Sequence[Category], values: Float32Array, place: int | None,
    parts: Sequence[Part],
) -> Iterator[Reasons]:  # fmt: skip
    order = np.argsort(-values[0], kind="stable")
    best = int(order[0])
    rivals = [int(other) for other in order[1:2]] if place is None or place == best else [place]
    logs = np.log(np.maximum(values.astype(np.float64), _SMALLEST))
    scores = logs[:, best] - (logs[:, rivals[0]] if rivals else 0.0)
    against = (classes[rivals[0]], float(values[0, rivals[0]])) if rivals else None
    is_guess = best in model.guessed.get(name, ())
    yield Reasons(
        classes[best], float(values[0, best]), not is_guess, is_guess, against, _effects(scores, parts)
    )  # fmt: skip


def _of_several(
    model: LiveModel, name: str, classes: Sequence[Category], values: Float32Array, place: int | None,
    parts: Sequence[Part],
) -> Iterator[Reasons]:  # fmt: skip
    order = [int(number) for number in np.argsort(-values[0], kind="stable")[:MAX_CATEGORIES]]
    assigned = [number for number in order if values[0, number] >= 0.5]
    cut = np.clip(model.thresholds.get(name) or np.full(len(classes), 0.5), 1e-6, 1.0 - 1e-6)
    for number in [place] if place is not None else assigned or order[:1]:
        # What the model gives has the threshold at 0.5; the shift is no matter for differences.
        shifted = np.clip(values[:, number].astype(np.float64), _SMALLEST, 1.0 - _LEAST)
        scores = np.log(shifted / (1.0 - shifted)) + np.log(cut[number] / (1.0 - cut[number]))
        probability = float(1.0 / (1.0 + np.exp(-scores[0])))
        is_guess = number in model.guessed.get(name, ())
        yield Reasons(
            classes[number], probability, bool(values[0, number] >= 0.5), is_guess, None, _effects(scores, parts)
        )


def _effects(scores: Float64Array, parts: Sequence[Part]) -> tuple[Effect, ...]:
    """Of scores (1 + parts,), the first of them that of the whole product."""
    effects = [Effect(part, float(effect)) for part, effect in zip(parts, scores[0] - scores[1:], strict=True)]
    return tuple(sorted(effects, key=lambda effect: -effect.effect))


def _read_part(example: bytes, features: Mapping[str, Feature]) -> Any:
    """The example with nothing but what the model reads: what a pretrained encoder has made of the whole text would
    else stand beside a text without a word, and the model would not encode it again."""
    whole, kept = tf.train.Example.FromString(example), tf.train.Example()
    for column in {ID, *(column for name, feature in features.items() for column in feature.columns_of(name))}:
        if column in whole.features.feature:
            kept.features.feature[column].CopyFrom(whole.features.feature[column])
    return kept


def _parts(product: Any, features: Mapping[str, Feature], max_words: int) -> tuple[list[Part], int]:
    """What may be left out, words first, and how many words more there are."""
    texts: dict[str, None] = {}
    attributes: dict[str, None] = {}
    for name, feature in features.items():
        (texts if feature.reads_names else attributes).update(dict.fromkeys(feature.columns_of(name)))
    counts: dict[str, dict[str, int]] = {}
    for column in texts:
        text = _text(product, column)
        for start, end in word_spans(text):
            places = counts.setdefault(text[start:end].lower(), {})
            places[column] = places.get(column, 0) + 1
    words = [Part("word", word, tuple(places), sum(places.values())) for word, places in counts.items()]
    others = [
        Part("attribute", value, (column,), 1)
        for column in attributes
        if column in product.features.feature and (value := _value(product.features.feature[column]))
    ]
    return words[:max_words] + others, max(0, len(words) - max_words)


def _text(product: Any, column: str) -> str:
    values = product.features.feature[column].bytes_list.value if column in product.features.feature else ()
    return values[0].decode("utf-8", "replace") if values else ""


def _value(feature: Any) -> str:
    """An attribute's value for people; empty where there is none."""
    if feature.bytes_list.value:
        data = feature.bytes_list.value[0]
        try:
            return str(data.decode())
        except UnicodeDecodeError:
            return "picture"
    numbers = feature.float_list.value
    if len(numbers) == 1:
        return str(np.format_float_positional(np.float32(numbers[0]), trim="-"))
    return counted(len(numbers), "number") if numbers else ""


def _without(product: Any, part: Part) -> bytes:
    """The product without a part."""
    rest = tf.train.Example()
    rest.CopyFrom(product)
    for column in part.columns:
        if part.kind == "word" and (text := _text_without(_text(product, column), part.text)):
            rest.features.feature[column].bytes_list.value[0] = text.encode()
        else:
            del rest.features.feature[column]
    serialised: bytes = rest.SerializeToString()
    return serialised


def _text_without(text: str, word: str) -> str:
    """The text with a blank in place of each of the word's occurrences; empty where nothing else is in it."""
    kept, end_before = [], 0
    for start, end in word_spans(text):
        if text[start:end].lower() == word:
            kept.append(text[end_before:start])
            end_before = end
    return " ".join([*kept, text[end_before:]]).strip()


def check_category(model: LiveModel, category: Category, objectives: Sequence[str]) -> None:
    """Refuses a category that is a class of none of the objectives.

    Raises:
      InputError: it is, such as one with others below it where products are in the lowest ones alone.
    """
    own = {name: model.workflow.objectives[name].classes(model.taxonomy) for name in objectives}
    if not any(category in classes for classes in own.values()):
        expected = f"a category that the model tells apart for {', '.join(own)}: one without others below it"
        raise InputError(Problem("", expected, key="--category", value=category.text))
