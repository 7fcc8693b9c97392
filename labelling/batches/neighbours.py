"""Near-duplicates and the nearest labelled products, by the embeddings of a run's predictions; one pass, in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rapidfuzz import fuzz

from labelling.content import Neighbour
from modules.objectives import kind_named
from modules.predictions.columns import EMBEDDING, ID, TITLE, objective_column
from modules.predictions.read import PredictionFiles
from modules.taxonomy.category import tidy

NEAR = 0.9
"""Least cosine of a near-duplicate."""
ALIKE = 85.0
"""Least likeness of their titles in per cent (rapidfuzz's token sort ratio). The model moves all of a category close
together; only the title tells a variant from another product."""
DUPLICATES, LABELLED = 12, 5
_CANDIDATES = 40

Floats = npt.NDArray[np.float32]


def find_neighbours(
    files: PredictionFiles, wanted: Sequence[str], labelled: Mapping[str, str], *, classes: Sequence[str] = ()
) -> list[Neighbour]:
    """The neighbours of each wanted product, nearest first.

    Args:
      wanted: ids.
      labelled: product to its category's id, as people have labelled since the run.
      classes: ids of the exclusive objective's classes, to read the labels that the run knew; none: those are left out.
    """
    titles, queries = _of(files, wanted)
    ids = list(queries)
    if not ids:
        return []
    matrix = _unit(np.stack([queries[name] for name in ids]))
    objective = files.objective(None)
    kind = kind_named(files.kinds[objective])
    known = objective_column(objective, kind.answer_column) if classes and kind.single_label else None
    best = _Best(len(ids), _CANDIDATES)
    nearest = _Best(len(ids), LABELLED + 1)
    for batch in files.scan([ID, TITLE, EMBEDDING, *([known] if known else [])]):
        similar = matrix @ _unit(_matrix(batch.column(EMBEDDING))).T
        names = batch.column(ID).to_pylist()
        labels: list[str | None] = [labelled.get(name) for name in names]
        if known:
            for i, index in enumerate(batch.column(known).to_pylist()):
                if labels[i] is None and index is not None and 0 <= index < len(classes):
                    labels[i] = classes[index]
        batch_titles = batch.column(TITLE).to_pylist()
        best.add(similar, list(zip(names, batch_titles, labels, strict=True)))
        have = [i for i, label in enumerate(labels) if label is not None]
        if have:
            nearest.add(similar[:, have], [(names[i], batch_titles[i], labels[i]) for i in have])
    neighbours: list[Neighbour] = []
    for row, name in enumerate(ids):
        duplicates = [
            Neighbour(name, other, "duplicate", score, label)
            for score, (other, title, label) in best.of(row)
            if other != name and score >= NEAR and _alike(titles[name], title)
        ][:DUPLICATES]
        taken = {name, *(duplicate.other for duplicate in duplicates)}
        others = [
            Neighbour(name, other, "labelled", score, label)
            for score, (other, _, label) in nearest.of(row)
            if other not in taken
        ]
        neighbours += duplicates + others[:LABELLED]
    return neighbours


class _Best:
    """Per query the most similar rows so far."""

    def __init__(self, queries: int, k: int):
        self.k = k
        self.scores = np.full((queries, 0), -np.inf, np.float32)
        self.places = np.zeros((queries, 0), np.int64)
        self.rows: dict[int, tuple[str, str | None, str | None]] = {}
        self.seen = 0

    def add(self, scores: Floats, rows: Sequence[tuple[str, str | None, str | None]]) -> None:
        """A block: ``scores`` of shape (queries, rows)."""
        k = min(self.k, scores.shape[1])
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        self.scores = np.concatenate([self.scores, np.take_along_axis(scores, top, 1)], 1)
        self.places = np.concatenate([self.places, top + self.seen], 1)
        order = np.argsort(-self.scores, axis=1, kind="stable")[:, : self.k]
        self.scores = np.take_along_axis(self.scores, order, 1)
        self.places = np.take_along_axis(self.places, order, 1)
        kept = set(np.unique(self.places).tolist())
        self.rows = {place: row for place, row in self.rows.items() if place in kept}
        self.rows |= {place: rows[place - self.seen] for place in kept if place >= self.seen}
        self.seen += len(rows)

    def of(self, query: int) -> list[tuple[float, tuple[str, str | None, str | None]]]:
        """(cosine, row), most similar first."""
        pairs = zip(self.scores[query].tolist(), self.places[query].tolist(), strict=True)
        return [(min(score, 1.0), self.rows[place]) for score, place in pairs]


def _of(files: PredictionFiles, wanted: Sequence[str]) -> tuple[dict[str, str | None], dict[str, Floats]]:
    """Titles and embeddings of the wanted products."""
    import pyarrow.compute as pc

    values = pa.array(sorted(set(wanted)), pa.string())
    titles: dict[str, str | None] = {}
    vectors: dict[str, Floats] = {}
    for batch in files.scan([ID, TITLE, EMBEDDING]):
        hit = batch.filter(pc.is_in(batch.column(ID), value_set=values))
        if hit.num_rows:
            names = hit.column(ID).to_pylist()
            titles |= zip(names, hit.column(TITLE).to_pylist(), strict=True)
            vectors |= zip(names, _matrix(hit.column(EMBEDDING)), strict=True)
    return titles, vectors


def _matrix(column: pa.FixedSizeListArray) -> Floats:
    return np.asarray(column.flatten(), np.float32).reshape(len(column), -1)


def _unit(rows: Floats) -> Floats:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _alike(first: str | None, second: str | None) -> bool:
    a, b = (tidy(title or "").casefold() for title in (first, second))
    return bool(a and b) and fuzz.token_sort_ratio(a, b) >= ALIKE
