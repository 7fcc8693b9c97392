"""The contract of a product's tf.Example: feature names, and what stands behind them.

| feature | values |
| --- | --- |
| ``id`` | bytes[1] |
| each text field of the product schema | bytes[1]; absent where missing |
| each number field | float[1]; absent where missing or not to be told |
| each vector field | float[dimension]; absent where missing |
| each attribute (``feed.attributes``) | as a text, number or vector field, by what it holds (:class:`ProductColumns`) |
| ``image_bytes`` | bytes[1], a baseline RGB JPEG, empty where missing; only where the workflow has images |
| ``encoding/<feature>`` | float[width], what a feature's pretrained encoder makes of the product's texts; absent where they are blank, and where an example comes from elsewhere: the exported model then computes it |
| ``rules`` | bytes, ids of the rules that fired, in the rule file's order |
| ``top_category`` | bytes[1], name of the top-level category of the exclusive label, else of the first fired rule's category, else empty; for slicing |
| ``label/<objective>`` | exclusive: int64[1], index of the class, -1 where unlabelled; multi-label: int64, indices of the positive classes |
| ``label/<objective>/no`` | multi-label from people: int64, indices of the classes that people said no to |
| ``label/<objective>/rest`` | multi-label from people and others: int64[1], 1 where the source only says yes, so that what is not named is assumed to be no, in training only; absent elsewhere |
| ``label_source/<objective>`` | exclusive, and multi-label from people: bytes[1]; absent where unlabelled |
| ``eval_weight/<objective>`` | float[1], weight in the evaluation: 0 where it must not be measured on; labels from rules: 1 where a rule fired, or everywhere if the objective's ``unreached`` is ``no`` |

Classes are counted as the objective's kind does (``classes`` of :mod:`modules.objectives`).

Transform turns the fields into columns named ``<feature of the workflow>/<part>`` (:func:`transformed`). Labels and
evaluation weights pass through it under their own names.
"""  # noqa: E501

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

ID: Final = "id"
TITLE: Final = "title"
DESCRIPTION: Final = "description"
BRAND: Final = "brand"
RAW_CATEGORY: Final = "raw_category"
GENDER: Final = "gender"
SIZE: Final = "size"
COLOR: Final = "color"
PRICE: Final = "price"
CURRENCY: Final = "currency"
AVAILABILITY: Final = "availability"
IMAGE: Final = "image"
RETAILER: Final = "retailer"
URL: Final = "url"
IMAGE_VECTOR: Final = "image_vector"
IMAGE_BYTES: Final = "image_bytes"
RULES: Final = "rules"
TOP_CATEGORY: Final = "top_category"

TEXT_FIELDS = (
    TITLE, DESCRIPTION, BRAND, RAW_CATEGORY, GENDER, SIZE, COLOR, CURRENCY, AVAILABILITY, IMAGE, RETAILER, URL,
)  # fmt: skip
"""The product schema's optional fields, all text as the feed has it; ``id`` comes on top and is required."""

NUMBER_FIELDS = (PRICE,)
"""The product schema's numbers: read out of what the feed has written when the examples are made, and nowhere else."""

VECTOR_FIELDS = (IMAGE_VECTOR,)
"""The product schema's dense fields: lists of floats that come with the feed."""

PRODUCT_FIELDS = (ID, *TEXT_FIELDS, *NUMBER_FIELDS, *VECTOR_FIELDS)

Holds = Literal["text", "number", "price", "vector"]
"""What a column of products holds. Prices are numbers that are read by other rules."""


@dataclass(frozen=True)
class ProductColumns:
    """The columns that describe products: the product schema's fields, and a workflow's attributes behind them.

    Attributes:
      attributes: name to what it holds, in the workflow's order.
    """

    attributes: Mapping[str, Holds] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, ...]:
        """Those with a text."""
        return (*TEXT_FIELDS, *self._attributes("text"))

    @property
    def prices(self) -> tuple[str, ...]:
        """Those with a price."""
        return (*NUMBER_FIELDS, *self._attributes("price"))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Those with a number that is no price."""
        return self._attributes("number")

    @property
    def vectors(self) -> tuple[str, ...]:
        """Those with a vector."""
        return (*VECTOR_FIELDS, *self._attributes("vector"))

    def holding(self, holds: Holds) -> tuple[str, ...]:
        """Those that hold this."""
        columns = {"text": self.texts, "price": self.prices, "number": self.numbers, "vector": self.vectors}
        return columns[holds]

    def _attributes(self, holds: Holds) -> tuple[str, ...]:
        return tuple(name for name, held in self.attributes.items() if held == holds)


LAYOUT: Final = 2
"""What examples hold; a change of it makes those of a cache anew."""

UNLABELLED = -1
"""Class of an exclusive objective's unlabelled product."""

TOKEN_IDS: Final = "ids"
TOKEN_WEIGHTS: Final = "weights"
TOKEN_SEQUENCE: Final = "tokens"
VOCABULARY_INDEX: Final = "index"
PICTURE_BYTES: Final = "bytes"
PIXELS: Final = "pixels"
PRESENT: Final = "present"
VECTOR: Final = "vector"
NUMBER: Final = "number"
"""Beside :data:`PRICE`, the parts that a feature is transformed into, or that the model's input is made of."""

SPLIT_FOLDER = "Split-"
"""What TFX puts before a split's name in the folder of an artifact."""

TAXONOMY_FILE = "taxonomy.json"
"""The taxonomy as a run used it, in the ``taxonomy`` artifact's folder; ``Taxonomy.load`` reads it."""

MODEL_FACTS = "shelfmark.json"
"""Beside a SavedModel: hyperparameters, classes, calibration, what training did."""


_LABEL, _LABEL_SOURCE, _EVAL_WEIGHT = "label/", "label_source/", "eval_weight/"
_ENCODING = "encoding/"


def encoding(feature: str) -> str:
    """Name of the column with what a pretrained encoder makes of a product for a feature of the workflow."""
    return f"{_ENCODING}{feature}"


def label(objective: str) -> str:
    """Name of the feature with the (positive) classes."""
    return f"{_LABEL}{objective}"


def label_no(objective: str) -> str:
    """Name of the feature with the classes that people said no to."""
    return f"{label(objective)}/no"


def label_rest(objective: str) -> str:
    """Name of the feature that says of a multi-label product: it is in no category that is not named."""
    return f"{label(objective)}/rest"


def label_source(objective: str) -> str:
    """Name of the feature with the label's source."""
    return f"{_LABEL_SOURCE}{objective}"


def eval_weight(objective: str) -> str:
    """Name of the feature with the weight in the evaluation."""
    return f"{_EVAL_WEIGHT}{objective}"


def is_of_objective(feature: str) -> bool:
    """Whether the feature is one of an objective's: a label, its source, or the weight in the evaluation."""
    return feature.startswith((_LABEL, _LABEL_SOURCE, _EVAL_WEIGHT))


def is_target(feature: str) -> bool:
    """Whether training and evaluation need the feature beside the model's inputs: a label, or its weight."""
    return feature.startswith((_LABEL, _EVAL_WEIGHT))


def transformed(feature: str, part: str) -> str:
    """Name of a column that Transform, or the model's input pipeline, makes of a feature of the workflow.

    Args:
      feature: its key in the workflow's ``features``.
      part: which of its columns, such as :data:`TOKEN_IDS`.
    """
    return f"{feature}/{part}"


def is_transformed(column: str, part: str) -> bool:
    """Whether the column is this part of some feature."""
    return column.endswith(f"/{part}")


def sibling(column: str, part: str) -> str:
    """Name of another part of the feature that a transformed column is of."""
    return transformed(column.rpartition("/")[0], part)


def is_product_column(feature: str) -> bool:
    """Whether the feature of an example describes the product: a field of the product schema, or an attribute."""
    computed = feature in (ID, IMAGE_BYTES, RULES, TOP_CATEGORY) or feature.startswith(_ENCODING)
    return not computed and not is_of_objective(feature)


RESERVED = frozenset({*PRODUCT_FIELDS, IMAGE_BYTES, RULES, TOP_CATEGORY, "truth"})
"""Names that no attribute may have: they mean something else in examples and in ``feed.fields``."""

_SHOWN_IDS = 5

_SIMPLE_COUNTS = (
    "products", "quarantined", "passed_over", "untold", "images", "unmatched_labels", "model_labels",
    "ignored_variants",
)  # fmt: skip
"""Of :class:`Counts`, whose properties are ``<name>/<key>``."""

RETAILERS = "retailers"
"""The folder, in a split's folder of ExampleAnomalies, with the anomalies of each retailer (``<retailer>.pb``)."""


def retailer_of_slice(name: str) -> str | None:
    """The retailer that a dataset of TFDV's statistics is of, by its name; None of all products'."""
    prefix = f"{RETAILER}_"
    return name.removeprefix(prefix) if name.startswith(prefix) else None


PRODUCTS, READ, _QUARANTINED = "products", "read", "quarantined/"
"""What is counted of a retailer."""


@dataclass
class Counts:
    """What a run read: kept as custom properties of the ``examples`` artifact, so that ML Metadata alone knows it.

    Attributes:
      products: per split, products that became examples.
      quarantined: per reason, bad records.
      labels: (objective, source) to labelled products; a rule_based objective's source is ``rules``.
      rule_products: products that at least one rule reached.
      rules: rules in the rule file.
      leaked_titles: titles, or groups of variants, that stand in more than one split of the feed's own split column; 0
        without such a column.
      ignored_variants: per field that makes variants of products (``gtin``), its values that do not, since products of
        too many titles, or of several true categories, have them.
      unmatched_labels: per objective, labels of products that no feed has. unmatched_ids: the first of their ids.
      model_labels: per objective, products that a model has labelled (source ``model``), learnt from or not.
      files: feed files read.
      untold: per number field, products whose value tells no number: they have none, and are counted here.
      images: per outcome (``ok``, or a reason of :mod:`modules.images.outcome`), products; empty without images.
      passed_over: per word for it (``blank``), what is no record: all lines are counted somewhere.
      by_retailer: (retailer, what) to a number, with several feeds or a named one: ``products`` of it, its ``read``
        records, and per reason its bad ones (``quarantined/no_id``).
    """

    products: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    rule_products: int = 0
    rules: int = 0
    leaked_titles: int = 0
    unmatched_labels: Counter[str] = field(default_factory=Counter)
    files: int = 0
    images: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[str] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)
    unmatched_ids: dict[str, tuple[str, ...]] = field(default_factory=dict)
    model_labels: Counter[str] = field(default_factory=Counter)
    by_retailer: Counter[tuple[str, str]] = field(default_factory=Counter)
    ignored_variants: Counter[str] = field(default_factory=Counter)

    @property
    def retailers(self) -> list[str]:
        """Those that the counts tell apart, by name."""
        return sorted({retailer for retailer, _ in self.by_retailer})

    def quarantined_of(self, retailer: str) -> Counter[str]:
        """Per reason, a retailer's bad records."""
        own = [(what, number) for (name, what), number in self.by_retailer.items() if name == retailer]
        reasons = [(what.removeprefix(_QUARANTINED), number) for what, number in own if what.startswith(_QUARANTINED)]
        return Counter(dict(reasons))

    def count_retailer(self, retailer: str, read: int, bad: Mapping[str, int]) -> None:
        """Adds a retailer's records and its bad ones, by reason."""
        self.by_retailer[retailer, READ] += read
        for reason, count in bad.items():
            self.by_retailer[retailer, f"{_QUARANTINED}{reason}"] += count

    @property
    def total(self) -> int:
        """Products in all splits."""
        return self.products.total()

    def add_unmatched(self, objective: str, ids: Collection[str]) -> None:
        """Labels of products that no feed has."""
        self.unmatched_labels[objective] += len(ids)
        if ids:
            self.unmatched_ids[objective] = tuple(sorted(ids)[:_SHOWN_IDS])

    def to_properties(self) -> dict[str, int | str]:
        """Flat names, ``products/train``, ``quarantined/no_id``, ``labels/exclusive/random``, ..., to counts."""
        properties: dict[str, int | str] = {f"products/{split}": count for split, count in self.products.items()}
        properties |= {f"quarantined/{reason}": count for reason, count in self.quarantined.items()}
        properties |= {f"passed_over/{word}": count for word, count in self.passed_over.items()}
        properties |= {f"untold/{name}": count for name, count in self.untold.items()}
        properties |= {f"ignored_variants/{name}": count for name, count in self.ignored_variants.items()}
        properties |= {f"images/{reason}": count for reason, count in self.images.items()}
        properties |= {f"labels/{objective}/{source}": count for (objective, source), count in self.labels.items()}
        properties |= {f"unmatched_labels/{objective}": count for objective, count in self.unmatched_labels.items()}
        properties |= {f"unmatched_ids/{objective}": json.dumps(ids) for objective, ids in self.unmatched_ids.items()}
        properties |= {f"model_labels/{objective}": count for objective, count in self.model_labels.items()}
        properties |= {f"retailers/{name}/{what}": count for (name, what), count in self.by_retailer.items()}
        properties |= {"rules/products": self.rule_products, "rules/number": self.rules}
        return properties | {"leaked_titles": self.leaked_titles, "files": self.files}

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> Counts:
        """The inverse of :meth:`to_properties`; other properties of the artifact are passed over."""
        counts = cls()
        for name, value in properties.items():
            kind, _, rest = name.partition("/")
            if kind == "unmatched_ids" and isinstance(value, str):
                counts.unmatched_ids[rest] = tuple(json.loads(value))
            if isinstance(value, bool) or not isinstance(value, int):
                continue
            if kind == "labels" and "/" in rest:
                objective, _, source = rest.partition("/")
                counts.labels[objective, source] = value
            elif kind == "retailers" and "/" in rest:
                retailer, _, what = rest.partition("/")
                counts.by_retailer[retailer, what] = value
            elif kind in _SIMPLE_COUNTS and rest:
                getattr(counts, kind)[rest] = value
            elif name == "rules/products":
                counts.rule_products = value
            elif name == "rules/number":
                counts.rules = value
            elif name in ("leaked_titles", "files"):
                setattr(counts, name, value)
        return counts
