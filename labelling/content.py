"""What an import brings into the store: plain data that the command line gathers and the store keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Suggestions = Sequence[tuple[str, float] | tuple[str, float, str]]
"""(category id, probability), most probable first; and ``names``, where the category is guessed from its name alone."""


@dataclass(frozen=True)
class Item:
    """One question: a product of a batch or of a review queue; attributes as in ``labelling.store.tables.items``."""

    rank: int
    product_id: str
    source: str
    category: str = ""
    suggestions: Suggestions = ()
    utility: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    strategy: str | None = None
    inclusion_probability: float | None = None
    round: int | None = None
    seed: int | None = None
    model: str | None = None
    split: str | None = None
    reason: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Batch:
    """A batch, or a review queue.

    Attributes:
      id: what its labels carry as ``batch``. facts: what the strategy said of the batch as a whole.
      run: the run that made it. uri: where it was read from.
    """

    id: str
    objective: str
    items: Sequence[Item]
    kind: Literal["batch", "review"] = "batch"
    run: str | None = None
    strategy: str | None = None
    round: int | None = None
    uri: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Product:
    """A product as the pages show it.

    Attributes:
      fields: product field to text. image: file name relative to ``image_folder``, or a URL.
      rules: ids of the rules that fired.
      predictions: objective to the most probable categories; scores: objective to uncertainty to value.
    """

    id: str
    fields: Mapping[str, str]
    image: str | None = None
    image_folder: str | None = None
    rules: Sequence[str] = ()
    split: str | None = None
    predictions: Mapping[str, Suggestions] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Neighbour:
    """A product that lies near another: a ``duplicate``, or the nearest ``labelled`` ones with their category's id.

    Attributes:
      similarity: cosine of the embeddings.
    """

    product_id: str
    other: str
    kind: Literal["duplicate", "labelled"]
    similarity: float
    category: str | None = None


@dataclass(frozen=True)
class RuleFacts:
    """What a rule did in a run.

    Attributes:
      condition: as it stands in the rule file.
      figures: ``products`` (it fires for), ``alone``, ``judged``, ``right``.
      examples: ``catches`` and ``wrong``, ids of products.
    """

    rule: str
    category: str
    condition: Mapping[str, Any]
    figures: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Run:
    """A run, out of ML Metadata and its artifacts.

    Attributes:
      time: microseconds since 1970. facts: ``metrics`` (objective to figure to value), ``model``, ``products``, ...
      categories: (objective, category id) to figure to value.
      confusions: (objective, label, predicted) to (number of products, ids of some).
      rules: every rule.
      missed: category id to (figures ``labelled`` and ``missed``, ids of labelled products that none of its rules
        reaches).
    """

    id: str
    workflow: str
    time: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    categories: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    confusions: Mapping[tuple[str, str, str], tuple[int, Sequence[str]]] = field(default_factory=dict)
    rules: Sequence[RuleFacts] = ()
    missed: Mapping[str, tuple[Mapping[str, int], Sequence[str]]] = field(default_factory=dict)
