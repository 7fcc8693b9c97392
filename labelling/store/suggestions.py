"""What other classifiers suggest: rows of the log with the source ``model``, which no count of people's labels has.

A product that such a classifier has answered is not asked about again, and what its requests cost is kept with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, insert, select

from labelling.store import accounts, rows
from labelling.store.tables import as_read, batches, items, predictions, products, runs, suggestion_requests
from modules.errors import InputError, Problem
from modules.labels.model import MODEL
from modules.metrics.intervals import wilson, z_of
from modules.objectives import DEFAULT_KIND, kind_named

Scope = Literal["batch", "labelled", "all"]
"""Which products: those of open batches, those that people have labelled, or all that the store knows."""

NONE = "none_of_these"
CONFIDENCE = 0.95
"""Of the interval of a measured agreement."""
MAX_NAME = 200
_CHUNK = 500


@dataclass(frozen=True)
class Question:
    """A product to ask about.

    Attributes:
      fields: its texts by their names. guesses: (category id, probability) of the model, the most probable first.
      batch: the open batch that it belongs to, if it does.
    """

    product_id: str
    fields: dict[str, str]
    guesses: Sequence[tuple[str, float]]
    batch: str | None = None


@dataclass(frozen=True)
class Suggested:
    """An answer: ``yes`` with a category's id, ``none_of_these``, or ``skip``, where it does not know.

    Attributes:
      confidence: from 0 to 1, as it says itself; None: it does not say.
    """

    product_id: str
    value: str
    category: str | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Agreement:
    """How often a classifier says what people say, on the products that both have answered.

    Attributes:
      answers: products that it has answered, those that it does not know left out.
      products: how many of them people have a label for; lower, upper: the Wilson interval of the share ``same``.
      before: how many of those people had labelled before it answered, so that nobody had seen its answer, and
        same_before: the share on them.
      cost: of all its requests; None: not known.
    """

    annotator: str
    objective: str
    answers: int
    products: int
    same: float | None
    lower: float | None
    upper: float | None
    before: int
    same_before: float | None
    cost: float | None

    @property
    def cost_per_agreed(self) -> float | None:
        """What an answer costs that people would agree with, by the agreement so far."""
        if self.cost is None or not self.answers or not self.same:
            return None
        return self.cost / (self.answers * self.same)


def check_name(connection: Connection, name: str) -> None:
    """Refuses the name of a person: nobody could tell afterwards who has said what.

    Raises:
      InputError: it is an account's, somebody's labels carry it, or it is not usable as a name.
    """
    if not name.strip() or name != name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InputError(Problem("", f"expected a name of 1 to {MAX_NAME} characters", key="--by", value=name))
    persons = select(as_read.c.id).where(as_read.c.annotator == name, as_read.c.source != MODEL).limit(1)
    is_account = any(account.name.casefold() == name.casefold() for account in accounts.everybody(connection))
    if is_account or connection.execute(persons).first() is not None:
        hint = "name the model, like 'my-model-3'"
        raise InputError(Problem("", "this is the name of a person who labels", key="--by", value=name, hint=hint))


def wanted(
    connection: Connection, annotator: str, objective: str, scope: Scope, categories: Collection[str]
) -> list[str]:
    """Ids of the products that the classifier has not answered yet, those of a batch in its order.

    An answer with a category that is none of ``categories`` any more is none.
    """
    known = _answered(connection, annotator, objective, categories)
    return [product for product in _in_scope(connection, objective, scope) if product not in known]


def _in_scope(connection: Connection, objective: str, scope: Scope) -> Iterable[str]:
    if scope == "all":
        return connection.scalars(select(products.c.id).order_by(products.c.id))
    if scope == "batch":
        query = select(items.c.product_id).join(batches).where(items.c.objective == objective, items.c.category == "")
        query = query.where(items.c.state == "open", batches.c.state == "open", batches.c.kind == "batch")
        return dict.fromkeys(connection.scalars(query.order_by(items.c.batch, items.c.rank, items.c.id)))
    query = select(as_read.c.product_id).distinct().join(products, products.c.id == as_read.c.product_id)
    query = query.where(as_read.c.objective == objective, as_read.c.source != MODEL)
    return connection.scalars(query.order_by(as_read.c.product_id))


def _answered(connection: Connection, annotator: str, objective: str, categories: Collection[str]) -> set[str]:
    newest: dict[str, Any] = {}
    columns = (as_read.c.product_id, as_read.c.value, as_read.c.category)
    query = select(*columns).where(as_read.c.annotator == annotator, as_read.c.objective == objective)
    for row in connection.execute(query.where(as_read.c.source == MODEL).order_by(as_read.c.time, as_read.c.id)):
        newest[row.product_id] = row
    return {
        product
        for product, row in newest.items()
        if row.value != "retracted" and (row.category is None or row.category in categories)
    }


def questions(connection: Connection, objective: str, ids: Sequence[str]) -> list[Question]:
    """The products with what the store knows of them, in the order of ``ids`` (some hundreds at most).

    A model has learnt what people say of a product, so that what it predicts for one that they have labelled would give
    their labels away; then only what it said when the product was queued is sent.
    """
    told = select(as_read.c.product_id).distinct().where(as_read.c.product_id.in_(ids), as_read.c.source != MODEL)
    labelled = set(connection.scalars(told.where(as_read.c.objective == objective)))
    fields = dict(
        connection.execute(select(products.c.id, products.c.fields).where(products.c.id.in_(ids))).tuples().all()
    )
    guesses: dict[str, list[Any]] = {}
    query = select(predictions.c.product_id, predictions.c.top).outerjoin(runs, runs.c.id == predictions.c.run)
    query = query.where(predictions.c.product_id.in_(ids), predictions.c.objective == objective)
    # The newest last; where the run is not known, neither is its time.
    query = query.order_by(func.coalesce(runs.c.time, 0))
    for product, top in connection.execute(query):
        guesses[product] = [] if product in labelled else top
    batch_of: dict[str, str] = {}
    queued = select(items.c.product_id, items.c.suggestions, batches.c.id).join(batches)
    queued = queued.where(items.c.product_id.in_(ids), items.c.objective == objective, items.c.state == "open")
    for product, top, batch in connection.execute(queued.where(batches.c.kind == "batch").order_by(items.c.id)):
        batch_of[product] = batch
        guesses[product] = top or guesses.get(product, [])
    return [
        Question(
            product,
            {name: str(text) for name, text in fields.get(product, {}).items()},
            [(category, probability) for category, probability, *_ in guesses.get(product, [])],
            batch_of.get(product),
        )
        for product in ids
    ]


@dataclass(frozen=True)
class Request:
    """One request to a classifier.

    Attributes:
      asked: products that it was about. refused: lines of its reply that could not be used. cost: None: not known.
    """

    asked: int
    refused: int
    cost: float | None
    seconds: float


def keep(
    connection: Connection,
    annotator: str,
    objective: str,
    asked: Sequence[Question],
    given: Sequence[Suggested],
    request: Request,
    now: int,
) -> int:
    """Keeps the answers to a request and what it cost; in a writing transaction.

    Returns:
      How many answers were new; somebody else may have asked meanwhile.
    """
    question_of = {question.product_id: question for question in asked}
    before = _keys(connection, annotator, objective, [answer.product_id for answer in given])
    fresh = []
    for answer in given:
        question = question_of[answer.product_id]
        first = question.guesses[0] if question.guesses else (None, None)
        row = rows.Label(
            answer.product_id, objective, answer.category, answer.value, annotator, now, MODEL, question.batch,
            suggestion=first[0], suggestion_probability=first[1], confidence=answer.confidence,
        )  # fmt: skip
        if before.get(answer.product_id) != (answer.value, answer.category):
            fresh.append(row)
    added, _ = rows.append(connection, fresh)
    values = {"annotator": annotator, "objective": objective, "time": now, "answers": len(given)}
    values |= {name: getattr(request, name) for name in ("asked", "refused", "cost", "seconds")}
    connection.execute(insert(suggestion_requests).values(values))
    return added


def _keys(connection: Connection, annotator: str, objective: str, ids: Sequence[str]) -> dict[str, Any]:
    """Product to value and category of the newest answer."""
    known = {}
    for start in range(0, len(ids), _CHUNK):
        query = select(as_read.c.product_id, as_read.c.value, as_read.c.category)
        query = query.where(as_read.c.product_id.in_(ids[start : start + _CHUNK]), as_read.c.annotator == annotator)
        query = query.where(as_read.c.objective == objective, as_read.c.source == MODEL)
        for product, value, category in connection.execute(query.order_by(as_read.c.time, as_read.c.id)):
            known[product] = (value, category)
    return known


def of_product(connection: Connection, product: str, objective: str) -> list[Row[Any]]:
    """The categories that classifiers suggest for a product, the newest first."""
    query = select(as_read).where(as_read.c.product_id == product, as_read.c.objective == objective)
    query = query.where(as_read.c.source == MODEL).order_by(as_read.c.time, as_read.c.id)
    standing = rows.standing(connection.execute(query), models=True)
    return sorted((row for row in standing if row.value == "yes"), key=lambda row: (-row.time, -row.id))


def agreements(connection: Connection, kinds: dict[str, str]) -> list[Agreement]:
    """Every classifier's agreement with people, per objective with one category per product."""
    query = select(as_read.c.objective, as_read.c.annotator).where(as_read.c.source == MODEL).distinct()
    known = sorted(connection.execute(query).tuples().all())
    return [
        agreement(connection, annotator, objective)
        for objective, annotator in known
        if kind_named(kinds.get(objective, DEFAULT_KIND)).single_label
    ]


def agreement(connection: Connection, annotator: str, objective: str) -> Agreement:
    """A classifier's agreement with people: with the majority of those who answered a product; a tie says nothing."""
    own = select(as_read).where(as_read.c.objective == objective, as_read.c.annotator == annotator)
    own = own.where(as_read.c.source == MODEL).order_by(as_read.c.time, as_read.c.id)
    said = {row.product_id: row for row in rows.standing(connection.execute(own), models=True)}
    compared = earlier = same = same_earlier = 0
    by_people = rows.standing_of(connection, said, {objective: DEFAULT_KIND})
    for product, row in said.items():
        theirs = [other for other in by_people.get(product, []) if other.objective == objective]
        label = _majority(theirs)
        if label is None:
            continue
        agrees = label == (row.category or NONE)
        is_earlier = all(other.time <= row.time for other in theirs)
        compared, same = compared + 1, same + agrees
        earlier, same_earlier = earlier + is_earlier, same_earlier + (agrees and is_earlier)
    share = same / compared if compared else None
    low, high = wilson(share, compared, z_of(CONFIDENCE)) if share is not None else (None, None)
    spent = select(func.sum(suggestion_requests.c.cost)).where(suggestion_requests.c.annotator == annotator)
    return Agreement(
        annotator, objective, len(said), compared, share,
        None if low is None else float(low), None if high is None else float(high),
        earlier, same_earlier / earlier if earlier else None,
        connection.scalar(spent.where(suggestion_requests.c.objective == objective)),
    )  # fmt: skip


def _majority(answers: Iterable[Row[Any]]) -> str | None:
    """What more than half of the people say, as a run decides it; None: they do not agree."""
    votes: Counter[str] = Counter()
    against: Counter[str] = Counter()
    for row in answers:
        (against if row.value == "no" else votes)[row.category or NONE] += 1
    total = votes.total()
    return next((category for category, count in votes.items() if 2 * count > total + against[category]), None)


__all__ = [
    "Agreement", "Question", "Request", "Scope", "Suggested", "agreement", "agreements", "check_name", "keep",
    "of_product", "questions", "wanted",
]  # fmt: skip
