"""A product as the labelling page shows it: everything a template needs, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, select

from labelling.store import queue, rows, status, suggestions
from labelling.store.tables import neighbours, products
from labelling.web.names import Names
from labelling.web.words import picked_as
from modules.examples import PRODUCT_FIELDS
from modules.labels.model import AUDIT
from modules.objectives import DEFAULT_KIND
from modules.predictions.guesses import NAMES

KEYS = 9
"""Suggestions that have a number key."""
BESIDE = "l"
"""Key of the category that another classifier suggests, where the model's own suggestions lack it."""

REASONS = {
    "label_error": "The model is sure of another category than the label.",
    "rule_contradicted": "The model contradicts a rule that put the product there.",
    "disagreement": "The annotators disagree.",
}


@dataclass(frozen=True)
class Thumb:
    """A product in a list."""

    id: str
    title: str
    retailer: str = ""
    image: str | None = None
    note: str = ""
    labelled: str = ""


@dataclass(frozen=True)
class Option:
    """A category to answer with; ``key``: the number key, None beyond the ninth.

    ``guessed``: the model knows it by its name alone. ``explanation``: what the taxonomy says of it. ``suggested``:
    other classifiers that suggest it, with their confidence, if they told it.
    """

    id: str
    path: str
    name: str
    above: str
    probability: float | None
    key: int | str | None
    guessed: bool = False
    explanation: str = ""
    suggested: Sequence[tuple[str, float | None]] = ()


@dataclass(frozen=True)
class Card:
    """One question."""

    item: int
    product: str
    objective: str
    kind: str
    question: str
    question_id: str
    explanation: str
    title: str
    retailer: str
    image: str | None
    fields: Sequence[tuple[str, str]]
    options: Sequence[Option]
    duplicates: Sequence[Thumb]
    labelled: Sequence[Thumb]
    why: Sequence[tuple[str, str]]
    pick: str
    batch: str
    review: Sequence[tuple[str, str]] = field(default_factory=tuple)
    note: str = ""


def card(connection: Connection, item: int, names: Names, hosts: Sequence[str]) -> Card | None:
    """The card of an item."""
    item_row = queue.item_of(connection, item)
    if item_row is None:
        return None
    kinds = status.kinds(connection)
    product = connection.execute(select(products).where(products.c.id == item_row.product_id)).first()
    fields = dict(product.fields) if product is not None else {}
    near, labelled = _neighbours(connection, item_row.product_id, names, kinds, hosts, item_row.objective)
    title = fields.pop("title", "") or item_row.product_id
    retailer = fields.pop("retailer", "")
    asked = names.get(item_row.category)
    return Card(
        item=item,
        product=item_row.product_id,
        objective=item_row.objective,
        kind=kinds.get(item_row.objective, DEFAULT_KIND),
        question=names(item_row.category) if item_row.category else "",
        question_id=item_row.category,
        explanation=asked.explanation if asked is not None else "",
        title=title,
        retailer=retailer,
        image=image_url(product, hosts),
        fields=ordered(fields),
        options=beside(
            options(item_row.suggestions, names),
            # Whoever judges what a model said is not to be led by what a model says.
            []
            if item_row.source == AUDIT
            else suggestions.of_product(connection, item_row.product_id, item_row.objective),
            names,
        ),
        duplicates=near,
        labelled=labelled,
        why=_why(item_row),
        pick=picked_as(item_row.strategy or item_row.source),
        batch=item_row.batch_id,
        review=_review(item_row.reason, names),
    )


def options(suggestions: Sequence[Sequence[Any]], names: Names) -> list[Option]:
    """Suggestions as answers; categories that the taxonomy has lost are none."""
    known = [
        (known_category, p, NAMES in source)
        for category, p, *source in suggestions
        if (known_category := names.get(category)) is not None
    ]
    return [
        Option(
            c.id, c.text, c.path[-1], " > ".join(c.path[:-1]), p, i + 1 if i < KEYS else None, guessed, c.explanation
        )
        for i, (c, p, guessed) in enumerate(known[:KEYS])
    ]


def beside(own: Sequence[Option], suggested: Sequence[Any], names: Names) -> list[Option]:
    """The model's suggestions, marked where other classifiers say the same, and behind them what only those say.

    Args:
      own: the model's suggestions.
      suggested: rows of the log, the newest first.
      names: the categories; one that the taxonomy has lost is left out.
    """
    by_category: dict[str, list[tuple[str, float | None]]] = {}
    for row in suggested:
        by_category.setdefault(row.category, []).append((row.annotator, row.confidence))
    marked = [replace(option, suggested=tuple(by_category.pop(option.id, ()))) for option in own]
    key: str | None = BESIDE
    for category, by in by_category.items():
        c = names.get(category)
        if c is not None:
            above = " > ".join(c.path[:-1])
            marked.append(
                Option(c.id, c.text, c.path[-1], above, None, key, explanation=c.explanation, suggested=tuple(by))
            )
            key = None
    return marked


def ordered(fields: dict[str, str]) -> list[tuple[str, str]]:
    """Fields in the order of the product schema, with their titles for people."""
    order = {name: i for i, name in enumerate(PRODUCT_FIELDS)}
    in_order = sorted(fields.items(), key=lambda pair: (order.get(pair[0], len(order)), pair[0]))
    return [(name.replace("_", " "), value) for name, value in in_order if value]


def image_url(product: Any, hosts: Sequence[str]) -> str | None:
    """Where the browser finds a product's image; None where it may not load it."""
    from urllib.parse import urlencode, urlsplit

    if product is None or not product.image:
        return None
    if product.image_folder:
        return f"/image?{urlencode({'id': product.id})}"
    try:
        url = urlsplit(product.image)
    except ValueError:
        return None
    return product.image if url.scheme == "https" and url.hostname in hosts else None


def thumbs(
    connection: Connection, ids: Sequence[str], hosts: Sequence[str], notes: dict[str, str] | None = None
) -> list[Thumb]:
    """Products in the order of their ids; one that the store does not know shows its id."""
    row_of_id: dict[str, Any] = {}
    for start in range(0, len(ids), 500):
        query = select(products).where(products.c.id.in_(ids[start : start + 500]))
        row_of_id |= {row.id: row for row in connection.execute(query)}
    made = []
    for name in ids:
        row = row_of_id.get(name)
        fields = row.fields if row is not None else {}
        note = (notes or {}).get(name, "")
        made.append(Thumb(name, fields.get("title") or name, fields.get("retailer", ""), image_url(row, hosts), note))
    return made


def _neighbours(
    connection: Connection, product: str, names: Names, kinds: dict[str, str], hosts: Sequence[str], objective: str
) -> tuple[list[Thumb], list[Thumb]]:
    """Near-duplicates, and the nearest labelled products."""
    query = select(neighbours).where(neighbours.c.product_id == product)
    neighbour_rows = connection.execute(query.order_by(neighbours.c.similarity.desc(), neighbours.c.other)).all()
    thumb_of_id = {thumb.id: thumb for thumb in thumbs(connection, [row.other for row in neighbour_rows], hosts)}
    standing = rows.standing_of(connection, [row.other for row in neighbour_rows], kinds)
    lists: dict[str, list[Thumb]] = {"duplicate": [], "labelled": []}
    for row in neighbour_rows:
        said = [
            names(label_row.category) or "none of these"
            for label_row in standing.get(row.other, [])
            if label_row.objective == objective and label_row.value in ("yes", "none_of_these")
        ]
        label = said[-1] if said else names(row.category)
        thumb = thumb_of_id[row.other]
        note = f"{row.similarity:.2f}"
        lists[row.kind].append(Thumb(thumb.id, thumb.title, thumb.retailer, thumb.image, note, label))
    return lists["duplicate"], lists["labelled"]


def _why(item: Any) -> list[tuple[str, str]]:
    """Why the product was picked, for whoever wants to know."""
    facts = [("strategy", item.strategy), ("utility", item.utility), *sorted(item.parts.items())]
    facts += [("rank in batch", item.rank + 1), ("round", item.round), ("split", item.split), ("model", item.model)]
    facts += [("inclusion probability", item.inclusion_probability), ("seed", item.seed)]
    return [
        (name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in facts
        if value is not None
    ]


def _review(reason: Any, names: Names) -> list[tuple[str, str]]:
    if not reason:
        return []
    facts = [("why", REASONS.get(reason.get("reason"), reason.get("reason")))]
    facts += [("label", names(reason.get("given"))), ("the model says", names(reason.get("suggested")))]
    facts += [("rule", reason.get("rule")), ("annotators", ", ".join(reason.get("annotators") or []))]
    return [(name, str(value)) for name, value in facts if value]
