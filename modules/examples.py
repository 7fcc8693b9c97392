"""The contract of a product's tf.Example: feature names, and what stands behind them.

| feature | values |
| --- | --- |
| ``id`` | bytes[1] |
| each text field of the product schema | bytes[1]; absent where missing |
| each vector field | float[dimension]; absent where missing |
| ``image_bytes`` | bytes[1], a baseline RGB JPEG, empty where missing; only where the workflow has images |
| ``rules`` | bytes, ids of the rules that fired, in the rule file's order |
| ``top_category`` | bytes[1], name of the top-level category of the exclusive label, else of the first fired rule's category, else empty; for slicing |
| ``label/<objective>`` | exclusive: int64[1], index of the class, -1 where unlabelled; multi-label: int64, indices of the positive classes |
| ``label/<objective>/no`` | multi-label from people: int64, indices of the classes that people said no to |
| ``label_source/<objective>`` | exclusive, and multi-label from people: bytes[1]; absent where unlabelled |
| ``eval_weight/<objective>`` | float[1], weight in the evaluation: 0 where it must not be measured on; labels from rules: 1 where a rule fired, or everywhere if the objective's ``unreached`` is ``no`` |

Classes are counted as the objective's kind does (``classes`` of :mod:`modules.objectives`).
"""  # noqa: E501

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

ID = "id"
IMAGE_BYTES = "image_bytes"
RULES = "rules"
TOP_CATEGORY = "top_category"
UNLABELLED = -1
"""Class of an exclusive objective's unlabelled product."""

TAXONOMY_FILE = "taxonomy.json"
"""The taxonomy as a run used it, in the ``taxonomy`` artifact's folder; ``Taxonomy.load`` reads it."""


def label(objective: str) -> str:
    """Name of the feature with the (positive) classes."""
    return f"label/{objective}"


def label_no(objective: str) -> str:
    """Name of the feature with the classes that people said no to."""
    return f"label/{objective}/no"


def label_source(objective: str) -> str:
    """Name of the feature with the label's source."""
    return f"label_source/{objective}"


def eval_weight(objective: str) -> str:
    """Name of the feature with the weight in the evaluation."""
    return f"eval_weight/{objective}"


@dataclass
class Counts:
    """What a run read: kept as custom properties of the ``examples`` artifact, so that ML Metadata alone knows it.

    Attributes:
      products: per split, products that became examples.
      quarantined: per reason, bad records.
      labels: (objective, source) to labelled products; a rule_based objective's source is ``rules``.
      rule_products: products that at least one rule reached.
      rules: rules in the rule file.
      leaked_titles: titles that stand in more than one split of the feed's own split column; 0 without such a column.
      unmatched_labels: per objective, labels of products that no feed has.
      files: feed files read.
      images: per outcome (``ok``, or a reason of :mod:`modules.images.outcome`), products; empty without images.
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

    @property
    def total(self) -> int:
        """Products in all splits."""
        return self.products.total()

    def to_properties(self) -> dict[str, int]:
        """Flat names, ``products/train``, ``quarantined/no_id``, ``labels/exclusive/random``, ..., to counts."""
        properties = {f"products/{split}": count for split, count in self.products.items()}
        properties |= {f"quarantined/{reason}": count for reason, count in self.quarantined.items()}
        properties |= {f"images/{reason}": count for reason, count in self.images.items()}
        properties |= {f"labels/{objective}/{source}": count for (objective, source), count in self.labels.items()}
        properties |= {f"unmatched_labels/{objective}": count for objective, count in self.unmatched_labels.items()}
        properties |= {"rules/products": self.rule_products, "rules/number": self.rules}
        return properties | {"leaked_titles": self.leaked_titles, "files": self.files}

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> Counts:
        """The inverse of :meth:`to_properties`; other properties of the artifact are passed over."""
        counts = cls()
        for name, value in properties.items():
            if isinstance(value, bool) or not isinstance(value, int):
                continue
            kind, _, rest = name.partition("/")
            if kind == "labels" and "/" in rest:
                objective, _, source = rest.partition("/")
                counts.labels[objective, source] = value
            elif kind in ("products", "quarantined", "images", "unmatched_labels") and rest:
                getattr(counts, kind)[rest] = value
            elif name == "rules/products":
                counts.rule_products = value
            elif name == "rules/number":
                counts.rules = value
            elif name in ("leaked_titles", "files"):
                setattr(counts, name, value)
        return counts
