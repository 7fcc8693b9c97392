"""The next batch of one objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modules.arrays import BoolArray, Float32Array, Int64Array
from modules.objectives import ancestor_levels
from modules.query_strategies import Pool, Selection
from modules.query_strategies.pool import top_k
from modules.sampling.asked import AskedQuestions
from modules.sampling.random_share import systematic
from modules.sampling.table import PredictionTable
from modules.settings.sampling import SamplingSettings
from modules.taxonomy import Category, Taxonomy

PAIRS = 50_000
"""Of a multi-label objective's products and categories the most uncertain ones, of which a strategy picks."""

SUGGESTIONS = 9
"""Categories that come with a pick: one per number key."""

AllClasses = Callable[[Sequence[str]], Float32Array]


@dataclass(frozen=True)
class Pick:
    """One question; attributes as in the ``LabellingBatch`` file.

    ``guessed``: those of the suggestions that the model knows by their names alone.
    """

    rank: int
    product_id: str
    objective: str
    source: str
    strategy: str
    split: str
    utility: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    category: str | None = None
    inclusion_probability: float | None = None
    suggestions: Sequence[tuple[str, float]] = ()
    guessed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PickedBatch:
    """Picks in the order of their rank, and what is true of them all.

    Attributes:
      facts: ``strategy``, ``size``, ``random``, ``pool``, ``labelled``, ``classes``, ``classes_labelled``,
        ``classes_after`` (if every suggestion were right), ``mean_utility``, ``round``, ``seed``.
    """

    objective: str
    picks: Sequence[Pick]
    facts: Mapping[str, int | float | str]


def next_batch(
    objective: str,
    exclusive: bool,
    table: PredictionTable,
    asked: AskedQuestions,
    classes: Sequence[Category],
    taxonomy: Taxonomy,
    settings: SamplingSettings,
    seed: int,
    all_classes: AllClasses | None = None,
) -> PickedBatch:
    """Picks a batch: a random share over all splits, the rest by the strategy from the train split.

    Args:
      all_classes: of an exclusive objective, ids of products to their probabilities over all classes, for strategies
        that need them of some candidates; None: what the most probable ones leave is spread evenly over the others.

    Same arguments, same batch. Random and chosen picks are mixed in the ranking, so that a batch that is left half done
    has its share of both.

    Raises:
      MissingInput: the predictions lack what the strategy needs.
    """
    number = len(asked.batches) + 1
    rng = np.random.default_rng([seed, number])
    share = settings.first_random_share if asked.random < settings.first_labels else settings.random_share
    if exclusive:
        picked = _products(table, asked, classes, taxonomy, settings, share, rng, all_classes)
    else:
        picked = _pairs(table, asked, classes, settings, share, rng)
    chosen, drawn, facts = picked
    labelled = {int(label) for label in np.unique(table.labels) if label >= 0}
    # Without labels and names a head says the same of every category: its order would be taken for a guess.
    shown = 0 if exclusive and not labelled and not table.guessed else min(SUGGESTIONS, table.classes.shape[1])
    picks = []
    for rank, question in enumerate(_mixed(chosen, drawn, rng)):
        row, category, details = question
        suggestions = [(classes[table.classes[row, i]].id, float(table.probabilities[row, i])) for i in range(shown)]
        picks.append(
            Pick(
                rank,
                table.ids[row].as_py(),
                objective,
                split=table.split_names[table.splits[row]],
                category=None if category < 0 else classes[category].id,
                suggestions=suggestions,
                guessed=frozenset(classes[i].id for i in table.classes[row, :shown] if int(i) in table.guessed),
                **details,
            )
        )
    utilities = [pick.utility for pick in picks if pick.utility is not None]
    after = labelled | {int(table.classes[row, 0]) for row, _, _ in [*chosen, *drawn]}
    return PickedBatch(
        objective, picks,
        {
            "strategy": settings.strategy.kind, "size": len(picks), "random": len(drawn), "round": number, "seed": seed,
            "mean_utility": float(np.mean(utilities)) if utilities else 0.0, "classes": len(classes), **facts,
            **({"classes_labelled": len(labelled), "classes_after": len(after)} if exclusive else {}),
        },
    )  # fmt: skip


_Question = tuple[int, int, dict[str, Any]]
"""Row, category of a yes/no question or -1, and the pick's other attributes."""


def _products(
    table: PredictionTable,
    asked: AskedQuestions,
    classes: Sequence[Category],
    taxonomy: Taxonomy,
    settings: SamplingSettings,
    share: float,
    rng: np.random.Generator,
    all_classes: AllClasses | None,
) -> tuple[list[_Question], list[_Question], dict[str, int]]:
    free = table.labels < 0
    free[table.rows_of([product for product, _ in asked.questions])] = False
    everything = np.flatnonzero(free)
    places, probability = systematic(table.classes[everything, 0], round(share * settings.size), rng)
    random = everything[places]
    drawn = [(int(row), -1, _random(probability)) for row in random]
    train = _train(table)
    available = free & train
    available[random] = False
    rows = np.flatnonzero(train)
    index = {category.id: i for i, category in enumerate(classes)}

    def classes_under(name: str) -> Int64Array:
        category = taxonomy.find(name)
        class_numbers = [
            index[descendant.id] for descendant in (category, *taxonomy.descendants(category)) if descendant.id in index
        ]
        return np.array(class_numbers, np.int64)

    def distributions(some: Int64Array) -> Float32Array:
        assert all_classes is not None
        return all_classes(table.ids.take(pa.array(rows[some])).to_pylist())

    complete = table.classes.shape[1] >= len(classes)
    pool = Pool(
        available[rows], np.where(train, table.labels, -1)[rows], len(classes), _some(table.probabilities, rows),
        _some(table.classes, rows), {name: values[rows] for name, values in table.scores.items()},
        _some(table.embeddings, rows), None if complete or all_classes is None else distributions,
        members=_members(table, rows), levels=ancestor_levels(classes, taxonomy), classes_under=classes_under,
        names=_names(table, rows),
    )  # fmt: skip
    selection = settings.strategy.query(pool, settings.size - len(drawn), rng)
    chosen = [(int(rows[selection.rows[i]]), -1, _chosen(selection, i)) for i in range(len(selection))]
    facts = {"pool": int(available.sum()), "labelled": int((table.labels[train] >= 0).sum())}
    return chosen, drawn, facts


def _pairs(
    table: PredictionTable,
    asked: AskedQuestions,
    classes: Sequence[Category],
    settings: SamplingSettings,
    share: float,
    rng: np.random.Generator,
) -> tuple[list[_Question], list[_Question], dict[str, int]]:
    """Questions about a product and one of its most probable categories: a pool of two classes, no and yes."""
    index = {category.id: i for i, category in enumerate(classes)}
    known: dict[str, set[int]] = {}
    for product, category in asked.questions:
        if category in index:
            known.setdefault(product, set()).add(index[category])
    busy = {int(row): known[table.ids[row].as_py()] for row in table.rows_of(list(known))}
    # Of a committee only what each member says something of.
    width = table.classes.shape[1] if table.members is None else table.members.shape[2]
    # A random product, then one of its listed categories with equal probability.
    places, probability = systematic(table.classes[:, 0], round(share * settings.size), rng)
    drawn: list[_Question] = []
    for row in places:
        number = int(table.classes[row, rng.integers(width)])
        if number not in busy.get(int(row), ()):
            drawn.append((int(row), number, _random(probability / width)))
            busy.setdefault(int(row), set()).add(number)
    train = np.flatnonzero(_train(table))
    rows, columns, likely = _uncertain(table, train, width, rng)
    free = np.array([table.classes[r, c] not in busy.get(int(r), ()) for r, c in zip(rows, columns, strict=True)], bool)
    pool = Pool(
        free, np.full(len(rows), -1), 2, np.stack([1.0 - likely, likely], axis=1),
        embeddings=_some(table.embeddings, rows), members=_pair_members(table, rows, columns),
        names=_names(table, rows),
    )  # fmt: skip
    selection = settings.strategy.query(pool, settings.size - len(drawn), rng)
    chosen = [
        (int(rows[at]), int(table.classes[rows[at], columns[at]]), _chosen(selection, i))
        for i, at in enumerate(selection.rows)
    ]
    return (
        chosen,
        drawn,
        {"pool": len(train) * width, "labelled": sum(len(categories) for categories in known.values())},
    )


def _uncertain(
    table: PredictionTable, train: Int64Array, width: int, rng: np.random.Generator
) -> tuple[Int64Array, Int64Array, Float32Array]:
    """Rows, columns and probabilities of the pairs nearest to 0.5."""
    kept_rows, kept_columns, kept = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    step = max(1, PAIRS // max(width, 1)) * 4
    for start in range(0, len(train), step):
        part = train[start : start + step]
        likely = np.asarray(table.probabilities[part], np.float32)[:, :width].ravel()
        kept_rows = np.concatenate([kept_rows, np.repeat(part, width)])
        kept_columns = np.concatenate([kept_columns, np.tile(np.arange(width), len(part))])
        kept = np.concatenate([kept, likely])
        nearest = top_k(-abs(kept - 0.5), PAIRS, rng)
        kept_rows, kept_columns, kept = kept_rows[nearest], kept_columns[nearest], kept[nearest]
    return kept_rows, kept_columns, kept


def _some(array: npt.NDArray[Any], rows: Int64Array) -> Any:
    return _Rows(array, rows)


class _Rows:
    """Some rows of a mapped array, looked up when they are asked for."""

    def __init__(self, array: npt.NDArray[Any], rows: Int64Array):
        self.array, self.rows = array, rows
        self.shape = (len(rows), array.shape[1])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            return self.array[self.rows[key[0]], *key[1:]]
        return self.array[self.rows[key]]


def _names(table: PredictionTable, rows: Int64Array) -> Callable[[Int64Array], list[str]]:
    """Places in ``rows`` to the ids of their products."""
    return lambda some: table.ids.take(pa.array(rows[some])).to_pylist()


def _members(table: PredictionTable, rows: Int64Array) -> Callable[[Int64Array], Float32Array] | None:
    """Each member's probabilities of a product's first categories and of all others together.

    Taking classes together can only lower what members disagree about; the others hold next to nothing.
    """
    members = table.members
    if members is None:
        return None

    def of(some: Int64Array) -> Float32Array:
        first = np.asarray(members[rows[some]], np.float32).transpose(1, 0, 2)
        rest = np.maximum(1.0 - first.sum(axis=2, keepdims=True), 0.0)
        return np.concatenate([first, rest], axis=2)

    return of


def _pair_members(
    table: PredictionTable, rows: Int64Array, columns: Int64Array
) -> Callable[[Int64Array], Float32Array] | None:
    """Each member's probabilities of no and yes."""
    members = table.members
    if members is None:
        return None

    def of(some: Int64Array) -> Float32Array:
        yes = np.asarray(members[rows[some], :, columns[some]], np.float32).T
        return np.stack([1.0 - yes, yes], axis=2)

    return of


def _train(table: PredictionTable) -> BoolArray:
    return (
        table.splits == table.split_names.index("train") if "train" in table.split_names else np.zeros(len(table), bool)
    )


def _random(probability: float) -> dict[str, Any]:
    return {"source": "random", "strategy": "random", "inclusion_probability": probability}


def _chosen(selection: Selection, i: int) -> dict[str, Any]:
    parts = {name: float(values[i]) for name, values in selection.parts.items()}
    return {
        "source": selection.strategy,
        "strategy": selection.strategy,
        "utility": float(selection.utility[i]),
        "parts": parts,
    }


def _mixed(chosen: list[_Question], drawn: list[_Question], rng: np.random.Generator) -> list[_Question]:
    """The random picks at random places among the chosen ones, which keep their order."""
    turns = rng.permutation(np.repeat([0, 1], [len(chosen), len(drawn)]))
    sources = (iter(chosen), iter(drawn))
    return [next(sources[turn]) for turn in turns]
