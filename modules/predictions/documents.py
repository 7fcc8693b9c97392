"""What leaves of a product: one JSON object, the same for all targets of publications and for the API
(docs/how_to/publishing.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa

from modules.objectives import ObjectiveKind, kind_named
from modules.predictions.columns import (
    ACCEPTED,
    CATEGORY,
    CATEGORY_ID,
    CLASSES,
    ID,
    PROBABILITIES,
    PROBABILITY,
    RETAILER,
    objective_column,
)
from modules.predictions.read import list_matrix
from modules.predictions.sinks.base import Delivery
from modules.taxonomy import Category, Taxonomy

SCHEMA = 1
"""Version of the documents' form; a new one publishes everything again."""
TOP = 5
ACCEPT, REVIEW = "accept", "review"
"""Decisions about a product's category: it needs no look, or somebody is to look at it."""
DIGITS = 4
"""Of probabilities: the order of sums moves the sixth one from run to run, which would make every product a changed
one."""


@dataclass(frozen=True)
class Document:
    """A product as it is published, or that it is gone.

    Attributes:
      values: the JSON object. digest: of what it says of the product, by which changes are noticed: neither run, model
      nor version; None: it is gone.
    """

    id: str
    values: dict[str, Any]
    digest: bytes | None

    def as_json(self) -> bytes:
        """The object in one line, without its end."""
        return orjson.dumps(self.values)


def removal(product: str, version: int) -> Document:
    """That a product is gone."""
    return Document(product, {"id": product, "version": version, "deleted": True}, None)


class Neighbours(Protocol):
    """Where similar products come from."""

    def of(self, ids: list[str]) -> list[list[dict[str, Any]]]:
        """Per product its nearest ones, ``{"id": ..., "score": ...}``."""


class Documents:
    """Makes the documents of one run's published predictions.

    Args:
      delivery: which predictions. run: its id. model: fingerprint of the model that made them.
      version: of the publication; larger is newer. top: categories per product and objective.
      neighbours: None: documents say nothing of them.
    """

    def __init__(
        self, delivery: Delivery, run: str, model: str, version: int, top: int = TOP,
        neighbours: Neighbours | None = None,
    ):  # fmt: skip
        self._delivery, self._top, self._neighbours = delivery, top, neighbours
        self._same = {"version": version, "run": run, "model": model}
        self.version = version

    def batches(self) -> Iterator[list[Document]]:
        """The documents in the order of the predictions, some thousand at a time."""
        columns = [ID, RETAILER]
        for objective, kind in self._delivery.objectives.items():
            parts = (CATEGORY, CATEGORY_ID, PROBABILITY, CLASSES, PROBABILITIES, kind_named(kind).membership_column)
            accepted = (ACCEPTED,) if self._delivery.tells(objective, ACCEPTED) else ()
            columns += [objective_column(objective, part) for part in (*parts, *accepted)]
        for table in self._delivery.tables(list(dict.fromkeys(columns))):
            yield self._documents(table)

    def _documents(self, table: pa.Table) -> list[Document]:
        ids, retailers = (table.column(name).to_pylist() for name in (ID, RETAILER))
        delivery, guessed = self._delivery, self._delivery.files.guessed
        parts = {
            name: objective_answers(
                table, name, kind_named(kind), delivery.taxonomy, guessed.get(name, frozenset()), self._top
            )
            for name, kind in delivery.objectives.items()
        }
        near = self._neighbours.of(ids) if self._neighbours is not None else None
        documents = []
        for row, (product, retailer) in enumerate(zip(ids, retailers, strict=True)):
            said: dict[str, Any] = {"id": product, "retailer": retailer}
            said["objectives"] = {name: answers[row] for name, answers in parts.items()}
            if near is not None:
                said["neighbours"] = near[row]
            digest = hashlib.sha256(b"%d\n" % SCHEMA + orjson.dumps(said)).digest()[:16]
            documents.append(Document(product, {**said, **self._same}, digest))
        return documents


def objective_answers(
    table: pa.Table, objective: str, kind: ObjectiveKind, taxonomy: Taxonomy, guessed: Collection[int], top: int = TOP
) -> list[dict[str, Any]]:
    """What a document says of one objective, per row; worked out column by column, which is many times faster.

    Args:
      table: predictions, without guesses. guessed: the classes that the model knows by their names alone; ``top`` does
        not name them.
      top: categories per product.
    """

    def column(part: str) -> pa.ChunkedArray:
        return table.column(objective_column(objective, part))

    paths, ids, members = (_values(column(part)) for part in (CATEGORY, CATEGORY_ID, kind.membership_column))
    probabilities = _rounded(column(PROBABILITY).to_numpy())
    k = min(top, column(CLASSES).type.list_size)
    classes, scores = (list_matrix(column(part))[:, :k] for part in (CLASSES, PROBABILITIES))
    decisions: list[dict[str, str]] = [{}] * table.num_rows
    if objective_column(objective, ACCEPTED) in table.schema.names:
        decisions = [{"decision": ACCEPT if accepted else REVIEW} for accepted in column(ACCEPTED).to_pylist()]
    known = kind.classes(taxonomy)
    return [
        {
            CATEGORY_ID: category_id,
            CATEGORY: path,
            PROBABILITY: None if path is None else probability,
            "categories": _listed(member),
            **decision,
            "top": _best(known, guessed, best, their) if path is not None else [],
        }
        for category_id, path, probability, member, decision, best, their in zip(
            ids, paths, probabilities, members, decisions, classes.tolist(), _rounded(scores), strict=True
        )
    ]


def _best(
    known: Sequence[Category], guessed: Collection[int], classes: list[int], scores: list[float]
) -> list[dict[str, Any]]:
    # Nobody has taught the model those that it guesses.
    return [
        {CATEGORY_ID: known[i].id, CATEGORY: known[i].text, PROBABILITY: score}
        for i, score in zip(classes, scores, strict=True)
        if i not in guessed
    ]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The values; those of a dictionary one by one would take ten times as long."""
    is_dictionary = pa.types.is_dictionary(column.type)
    values: list[Any] = (column.cast(column.type.value_type) if is_dictionary else column).to_pylist()
    return values


def _listed(member: Any) -> list[str]:
    """The categories that a product is in: one at most, or several."""
    if member is None:
        return []
    return [member] if isinstance(member, str) else list(member)


def _rounded(values: np.ndarray) -> list[Any]:
    return np.round(values.astype(np.float64), DIGITS).tolist()
