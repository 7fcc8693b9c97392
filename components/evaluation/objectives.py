"""What the evaluation has to know of an objective, and its compact form inside a TFMA metric's configuration."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modules.examples import label
from modules.metrics.checks import CategoryChecks
from modules.predictions.columns import PROBABILITIES, THRESHOLDS, objective_column

SEPARATOR = " > "


@dataclass(frozen=True)
class ObjectiveThresholds:
    """What the model must reach on the test products to be blessed; what is None is not looked at.

    Attributes:
      accuracy, macro_f1, micro_f1: lower bounds of the objective's own figures.
      max_drop: how far accuracy (exclusive) or micro-F1 (multi-label) may fall below the last blessed model's.
      category_f1: category (id or path) to the F1 it must reach.
      every_category_f1: the same for all other categories with enough labels.
      category_max_drop: how far a category's F1 may fall below the last blessed model's.
      category_min_support: labelled test products below which categories are pooled.
      rest_f1: what the pooled categories must reach together.
    """

    accuracy: float | None = None
    macro_f1: float | None = None
    micro_f1: float | None = None
    max_drop: float | None = None
    category_f1: Mapping[str, float] = field(default_factory=dict)
    every_category_f1: float | None = None
    category_max_drop: float | None = None
    category_min_support: int = 20
    rest_f1: float | None = None


@dataclass(frozen=True)
class ObjectiveEval:
    """One objective as the evaluation sees it.

    Attributes:
      name: the objective; also the output name of its metrics in TFMA.
      kind: the name of its kind (:mod:`modules.objectives`).
      classes: per index of the head's output the category's id and its path as text.
      branches: per class the nodes from the root down to itself; default: cut out of the paths at " > ".
      threshold: multi-label only: probability from which on a class is predicted.
      label_key: feature with the class index (exclusive; below 0: unlabelled) or the class indices (multi-label).
      no_key: multi-label only: feature with the class indices that the truth denies. Pairs of product and class that
        neither it nor ``label_key`` names are then unknown and left out. Empty: every pair without a label is a no.
      weight_key: feature with 1 / inclusion probability, 0 where a product is not measured on; None: all weigh one.
      probabilities_key: the model's output, float of shape (n_classes,) per product.
      thresholds_key: multi-label only: a model output of the same shape with a threshold per class, used in the place
        of ``threshold`` where the model has it.
    """

    name: str
    kind: str
    classes: Sequence[tuple[str, str]]
    branches: Sequence[Sequence[str]] | None = None
    threshold: float = 0.5
    label_key: str = ""
    no_key: str = ""
    weight_key: str | None = None
    probabilities_key: str = ""
    thresholds_key: str = ""

    def keys(self) -> dict[str, Any]:
        """The feature and output names, defaults filled in."""
        return {
            "label_key": self.label_key or label(self.name),
            "no_key": self.no_key,
            "weight_key": self.weight_key,
            "probabilities_key": self.probabilities_key or objective_column(self.name, PROBABILITIES),
            "thresholds_key": self.thresholds_key or objective_column(self.name, THRESHOLDS),
        }

    def checks(self, thresholds: ObjectiveThresholds) -> CategoryChecks:
        """Category names turned into class indices.

        Raises:
          ValueError: a category is none of the objective's classes.
        """
        index = {name: i for i, names in enumerate(self.classes) for name in names}
        unknown = [name for name in thresholds.category_f1 if name not in index]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no category of objective {self.name!r}")
        return CategoryChecks(
            f1={index[name]: bound for name, bound in thresholds.category_f1.items()},
            every_f1=thresholds.every_category_f1,
            rest_f1=thresholds.rest_f1,
            max_drop=thresholds.category_max_drop,
            minimum=thresholds.category_min_support,
        )


def branch_of(path: str) -> list[str]:
    """The nodes on the way to ``path``, itself included: "A > B" gives "A" and "A > B"."""
    names = path.split(SEPARATOR)
    return [SEPARATOR.join(names[: depth + 1]) for depth in range(len(names))]


def pack_classes(objective: ObjectiveEval) -> str:
    """Ids, paths and (where they do not follow from the path) branches as compressed JSON in base64.

    TFMA writes the configuration beside each evaluation, and Beam hands it to every worker: a thousand paths in clear
    would make most of it.
    """
    rows: list[list[Any]] = [list(pair) for pair in objective.classes]
    if objective.branches is not None:
        if len(objective.branches) != len(rows):
            raise ValueError(f"{len(objective.branches)} branches do not belong to {len(rows)} classes")
        for row, branch in zip(rows, objective.branches, strict=True):
            if list(branch) != branch_of(row[1]):
                row.append(list(branch))
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def unpack_classes(packed: str) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Classes (id, path) and their branches, from :func:`pack_classes`."""
    rows = json.loads(zlib.decompress(base64.b64decode(packed)))
    return [(row[0], row[1]) for row in rows], [row[2] if len(row) > 2 else branch_of(row[1]) for row in rows]


def pack_checks(checks: CategoryChecks) -> dict[str, Any]:
    return {
        "f1": {str(category): bound for category, bound in checks.f1.items()},
        "every_f1": checks.every_f1,
        "rest_f1": checks.rest_f1,
        "max_drop": checks.max_drop,
        "minimum": checks.minimum,
    }


def unpack_checks(packed: Mapping[str, Any]) -> CategoryChecks:
    fields = dict(packed)
    return CategoryChecks(**{**fields, "f1": {int(c): float(bound) for c, bound in fields.get("f1", {}).items()}})
