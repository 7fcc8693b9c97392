"""A product and its neighbours by each method, as plain values for the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection

from labelling.web.cards import Thumb, thumbs
from labelling.web.indexes import Indexes
from modules.errors import InputError

if TYPE_CHECKING:
    from modules.similarity.card import ProductCard
    from modules.similarity.catalogue import Catalogue
    from modules.similarity.items import Restriction

WORDS = {
    "joint": ("Image and text", "one embedding of both"),
    "image": ("Image", "the picture's embedding"),
    "text": ("Text", "the texts' embedding"),
    "title": ("Title words", "full text, BM25"),
    "tokens": ("Tokens", "full text of the embedding"),
    "tokens_and_title": ("Tokens and title", "full text of both"),
}
"""Method to its heading and what it is."""


@dataclass(frozen=True)
class Tile:
    """A product in a list of neighbours.

    Attributes:
      likeness: 0 to 1, for the bar; None where scores are those of a full-text engine.
      also: headings of the other methods that found it.
    """

    id: str
    title: str
    retailer: str = ""
    category: str = ""
    price: str = ""
    image: str | None = None
    score: float = 0.0
    likeness: float | None = None
    also: Sequence[str] = ()


@dataclass(frozen=True)
class Column:
    """What a method found; ``problem``: why it found nothing."""

    method: str
    heading: str
    what: str
    tiles: Sequence[Tile] = field(default_factory=tuple)
    problem: str = ""


def tiles_of(
    connection: Connection, catalogue: Catalogue | None, ids: Sequence[str], hosts: Sequence[str]
) -> dict[str, Tile]:
    """Products by id: their texts out of the index or else the label store, their pictures out of the store alone."""
    known = {thumb.id: thumb for thumb in thumbs(connection, list(dict.fromkeys(ids)), hosts)}
    item_of_id = {name: catalogue.product(name) if catalogue is not None else None for name in known}
    return {name: _tile(known[name], item_of_id[name]) for name in known}


def _tile(known: Thumb, item: ProductCard | None) -> Tile:
    if item is None:
        return Tile(known.id, known.title, known.retailer, image=known.image)
    price = "" if item.price is None else f"{item.price:,.2f}"
    title, retailer = item.title or known.title, item.retailer or known.retailer
    return Tile(known.id, title, retailer, item.category or "", price, known.image)


def columns(
    connection: Connection, indexes: Indexes, catalogue: Catalogue, name: str, k: int, within: Restriction | None,
    hosts: Sequence[str],
) -> list[Column]:  # fmt: skip
    """The neighbours of a product by each method."""
    scores_of_method: dict[str, list[tuple[str, float]]] = {}
    problems: dict[str, str] = {}
    for method in catalogue.methods:
        try:
            asked = catalogue.asked(name, method)
        except InputError as error:
            problems[method] = error.problems[0].expected
            continue
        neighbours = indexes.search(catalogue, method, asked, k, within)
        scores_of_method[method] = [(neighbour.product.id, neighbour.score) for neighbour in neighbours]
    methods: dict[str, list[str]] = {}
    for method, pairs in scores_of_method.items():
        for other, _ in pairs:
            methods.setdefault(other, []).append(heading(method))
    tiles = tiles_of(connection, catalogue, list(methods), hosts)
    made = []
    for method in catalogue.methods:
        title, what = WORDS.get(method, (method.replace("_", " "), ""))
        by_cosine = _by_cosine(catalogue, method)
        its = [
            replace(
                tiles[other], score=score, likeness=min(max(score, 0.0), 1.0) if by_cosine else None,
                also=[method for method in methods[other] if method != title],
            )
            for other, score in scores_of_method.get(method, ())
        ]  # fmt: skip
        made.append(Column(method, title, what, its, problems.get(method, "")))
    return made


def heading(method: str) -> str:
    """What people read in place of a method's name."""
    return WORDS.get(method, (method.replace("_", " "), ""))[0]


def drawn(catalogue: Catalogue, count: int, rng: np.random.Generator) -> list[str]:
    """Ids of some products, to begin with."""
    from modules.similarity.loading import rows_of

    rows = rows_of(catalogue.indexes[catalogue.methods[0]])
    living = np.flatnonzero(rows.alive)
    chosen = rng.choice(living, min(count, len(living)), replace=False)
    return [rows.ids[int(row)].as_py() for row in chosen]


def _by_cosine(catalogue: Catalogue, method: str) -> bool:
    return getattr(catalogue.indexes[method].settings, "rank", "cosine") == "cosine"
