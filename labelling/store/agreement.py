"""How far the annotators agree, over the answers that stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, func, select

from labelling.store import rows
from labelling.store.tables import as_read
from modules.labels.model import MODEL
from modules.metrics.agreement import cohen_kappa, krippendorff_alpha, one_against_rest
from modules.objectives import DEFAULT_KIND, kind_named, multi_label_names

NONE = "none_of_these"


@dataclass(frozen=True)
class CategoryAgreement:
    """Krippendorff's alpha of "is it in this category?".

    Attributes:
      category: id, or ``none_of_these``. products: how many somebody put there, of those that several people answered.
      alpha: NaN where it is undefined.
    """

    category: str
    products: int
    alpha: float


@dataclass(frozen=True)
class AnnotatorAgreement:
    """One annotator beside each of the others.

    Attributes:
      products: how many they share with anybody. same: share of the answers of others on them that say the same.
      kappa: Cohen's, the mean over the others weighted by shared products; NaN where it is undefined.
    """

    annotator: str
    products: int
    same: float
    kappa: float


@dataclass(frozen=True)
class Agreement:
    """Of one objective. ``products``: how many several people answered; ``alpha``: over all categories."""

    objective: str
    products: int
    alpha: float
    categories: tuple[CategoryAgreement, ...]
    annotators: tuple[AnnotatorAgreement, ...]


def agreement(connection: Connection, objective: str, kind: str = DEFAULT_KIND) -> Agreement:
    """Agreement of an objective's annotators; the model's own labels count for nothing.

    Answers of a multi-label objective are about (product, category), and are yes or no.
    """
    several = (
        select(as_read.c.product_id)
        .where(as_read.c.objective == objective, as_read.c.source != MODEL)
        .group_by(as_read.c.product_id)
        .having(func.count(as_read.c.annotator.distinct()) > 1)
    )
    query = select(as_read).where(as_read.c.objective == objective, as_read.c.source != MODEL)
    query = query.where(as_read.c.product_id.in_(several)).order_by(as_read.c.time, as_read.c.id)
    label_rows = rows.standing(connection.execute(query), multi_label_names({objective: kind}))
    single_label = kind_named(kind).single_label
    if single_label:
        units = [(row.product_id, row.annotator, row.category or NONE) for row in label_rows if row.value != "no"]
    else:
        units = [(f"{row.product_id}\0{row.category}", row.annotator, row.value) for row in label_rows if row.category]
    answers, people, names = matrix(units)
    annotators = tuple(_annotator(answers, i, name) for i, name in enumerate(people))
    if single_label:
        categories = tuple(
            CategoryAgreement(name, int((answers == i).any(1).sum()), krippendorff_alpha(one_against_rest(answers, i)))
            for i, name in enumerate(names)
        )
    else:
        categories = _by_question(units)
    return Agreement(
        objective,
        len(answers),
        krippendorff_alpha(answers),
        tuple(sorted(categories, key=lambda c: (c.alpha != c.alpha, c.alpha, c.category))),
        tuple(annotator for annotator in annotators if annotator.products),
    )


def matrix(units: Sequence[tuple[str, str, str]]) -> tuple[npt.NDArray[np.int64], list[str], list[str]]:
    """(unit, annotator, answer) triples as an array (units with several answers, annotators), and the names of its
    columns and of its numbers."""
    counts: dict[str, int] = {}
    for unit, _, _ in units:
        counts[unit] = counts.get(unit, 0) + 1
    index = {unit: i for i, unit in enumerate(unit for unit, count in counts.items() if count > 1)}
    people = sorted({annotator for unit, annotator, _ in units if unit in index})
    names = sorted({answer for unit, _, answer in units if unit in index})
    column = {name: i for i, name in enumerate(people)}
    number = {name: i for i, name in enumerate(names)}
    answers = np.full((len(index), len(people)), -1, np.int64)
    for unit, annotator, answer in units:
        if unit in index:
            answers[index[unit], column[annotator]] = number[answer]
    return answers, people, names


def _annotator(answers: npt.NDArray[np.int64], who: int, name: str) -> AnnotatorAgreement:
    mine = answers[:, who]
    others = np.delete(answers, who, axis=1)
    shared = (mine >= 0)[:, None] & (others >= 0)
    kappas = np.array([cohen_kappa(mine, others[:, i]) for i in range(others.shape[1])])
    weights = shared.sum(0) * ~np.isnan(kappas)
    kappa = float(np.nansum(kappas * weights) / weights.sum()) if weights.sum() else float("nan")
    same = float((mine[:, None] == others)[shared].mean()) if shared.any() else float("nan")
    return AnnotatorAgreement(name, int(shared.any(1).sum()), same, kappa)


def _by_question(units: Sequence[tuple[str, str, str]]) -> tuple[CategoryAgreement, ...]:
    questions: dict[str, list[tuple[str, str, str]]] = {}
    for unit, annotator, answer in units:
        questions.setdefault(unit.rpartition("\0")[2], []).append((unit, annotator, answer))
    agreements = []
    for category, some in questions.items():
        answers, _, _ = matrix(some)
        if len(answers):
            agreements.append(CategoryAgreement(category, len(answers), krippendorff_alpha(answers)))
    return tuple(agreements)
