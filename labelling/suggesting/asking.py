"""Asks for suggestions, some products at a time; what was answered is in the store before the next ones are asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labelling.formats.checked import json_lines, lines_of
from labelling.store import Store, status, suggestions
from labelling.store.database import now
from labelling.store.suggestions import Request, Scope
from labelling.suggesting.protocol import KEYS, AnswerReader, Answers, Reply, Row, json_rows, question_lines
from modules.counting import counted
from modules.errors import InputError, Problem, Problems
from modules.labels.assumed import Assumed
from modules.labels.tables import is_table, table_rows
from modules.objectives import kind_named
from modules.taxonomy import Category, Taxonomy

_FILE_CHUNK = 500
"""Answers of a file that are kept at a time."""
USELESS = 3
"""Requests in a row of whose answers nothing can be used, after which no more is spent: with less, the products that a
classifier never answers well would keep it from the ones behind them."""

Tell = Callable[[int, int], None]
"""Called with how many products were asked about, and how many are to be."""


class Answerer(Protocol):
    """Whoever answers; ``name`` is for messages."""

    name: str

    def __call__(self, lines: bytes) -> Reply:
        """The answer to the lines that are sent."""


@dataclass
class Outcome:
    """What came of it.

    Attributes:
      asked: products. answered: those with an answer that was kept. unanswered: those without.
      refused: lines that could not be used. strangers: rows of a file about other products.
      cost: None: not known.
    """

    asked: int = 0
    answered: int = 0
    refused: Problems = field(default_factory=Problems)
    strangers: int = 0
    cost: float | None = None

    @property
    def unanswered(self) -> int:
        return self.asked - self.answered


@dataclass(frozen=True)
class Task:
    """Who is asked about what.

    Attributes:
      annotator: the classifier's name in the store. objective: None: the first one with one category per product.
      scope: which products. limit: how many at most; None: all. chunk: products per request.
      cost_per_product: of each product that is asked about; None: what the answers say.
    """

    annotator: str
    objective: str | None = None
    scope: Scope = "batch"
    limit: int | None = None
    chunk: int = 20
    cost_per_product: float | None = None


@dataclass(frozen=True)
class _Prepared:
    objective: str
    taxonomy: Taxonomy
    categories: Sequence[Category]
    wanted: Sequence[str]

    def reader(self, *, strangers: bool = False) -> AnswerReader:
        return AnswerReader(self.taxonomy, [category.id for category in self.categories], strangers=strangers)


def ask(store: Store, task: Task, answerer: Answerer, tell: Tell) -> Outcome:
    """Asks about the products that have no answer yet, ``task.chunk`` at a time.

    Raises:
      InputError: nothing can be asked, the answerer failed, or nothing of :data:`USELESS` answers in a row, or of all
        there are, can be used; what came before is kept, and the same call goes on from there.
    """
    prepared, outcome, useless = _prepare(store, task), Outcome(), 0
    reader = prepared.reader()
    names = {category.id: category.text for category in prepared.taxonomy}
    total = len(prepared.wanted)
    for number, start in enumerate(range(0, total, task.chunk), start=1):
        ids = prepared.wanted[start : start + task.chunk]
        with store.read() as connection:
            questions = suggestions.questions(connection, prepared.objective, ids)
        started = time.monotonic()
        reply = answerer(question_lines(prepared.objective, prepared.categories, names, questions))
        place = f"answer {number} of {answerer.name}"
        answers = reader.read(json_rows(reply, place), place, ids)
        if task.cost_per_product is not None:
            # Of a request that failed, what came back is what is known to have been paid for.
            answers.add_cost(task.cost_per_product * (len(answers.usable) if reply.failure else len(ids)))
        request = Request(len(ids), len(answers.refused), answers.cost, time.monotonic() - started)
        with store.write() as connection:
            suggestions.keep(connection, task.annotator, prepared.objective, questions, answers.usable, request, now())
        _count(outcome, answers, len(ids))
        if reply.failure:
            raise InputError([*outcome.refused, Problem(place, reply.failure, hint=_go_on(outcome))])
        useless = 0 if answers.usable else useless + 1
        if useless == USELESS or (not outcome.answered and outcome.asked == total):
            nothing = f"none of its lines answers any of the {counted(len(ids), 'product')}"
            raise InputError([*outcome.refused, Problem(place, nothing, hint=_go_on(outcome))])
        tell(outcome.asked, total)
    return outcome


def take_file(store: Store, task: Task, file: Path, tell: Tell) -> Outcome:
    """Takes answers out of a file (CSV, TSV or JSON Lines), of the products that have none yet.

    Raises:
      InputError: the file cannot be read, or none of its rows can be used.
    """
    prepared = _prepare(store, task)
    answers = prepared.reader(strangers=True).read(_file_rows(file), str(file), prepared.wanted)
    outcome = Outcome(refused=answers.refused, strangers=answers.strangers)
    if not answers.usable and len(answers.refused):
        raise InputError(list(answers.refused))
    for start in range(0, len(answers.usable), _FILE_CHUNK):
        given = answers.usable[start : start + _FILE_CHUNK]
        last = start + _FILE_CHUNK >= len(answers.usable)
        cost = answers.cost if last else None
        if task.cost_per_product is not None:
            cost = (cost or 0.0) + task.cost_per_product * len(given)
        with store.write() as connection:
            questions = suggestions.questions(connection, prepared.objective, [answer.product_id for answer in given])
            request = Request(len(given), len(answers.refused) if last else 0, cost, 0.0)
            suggestions.keep(connection, task.annotator, prepared.objective, questions, given, request, now())
        outcome.cost = outcome.cost if cost is None else (outcome.cost or 0.0) + cost
        outcome.answered = outcome.asked = outcome.asked + len(given)
        tell(outcome.asked, len(answers.usable))
    return outcome


def _count(outcome: Outcome, answers: Answers, asked: int) -> None:
    outcome.asked += asked
    outcome.answered += len(answers.usable)
    for problem in answers.refused:
        outcome.refused.add(problem)
    if answers.cost is not None:
        outcome.cost = (outcome.cost or 0.0) + answers.cost


def _go_on(outcome: Outcome) -> str:
    kept = counted(outcome.answered, "answer is kept", "answers are kept")
    return f"{kept}; the same command asks about the others"


def _prepare(store: Store, task: Task) -> _Prepared:
    with store.read() as connection:
        suggestions.check_name(connection, task.annotator)
        kinds, taxonomy = status.kinds(connection), status.newest_taxonomy(connection)
        possible = [name for name, kind in kinds.items() if kind_named(kind).single_label]
        if taxonomy is None or not kinds:
            hint = "`shelfmark label import-batch` brings a batch"
            raise InputError(Problem(store.name, "the label store has no products to ask about yet", hint=hint))
        objective = task.objective or next(iter(possible), None)
        if objective not in possible:
            expected = "expected an objective with one category per product"
            hint = f"there are {', '.join(possible)}" if possible else "the store has none"
            raise InputError(Problem("", expected, key="--objective", value=objective, hint=hint))
        categories = kind_named(kinds[objective]).classes(taxonomy)
        ids = {category.id for category in categories}
        wanted = suggestions.wanted(connection, task.annotator, objective, task.scope, ids)
    return _Prepared(objective, taxonomy, categories, wanted[: task.limit])


def _file_rows(file: Path) -> Iterator[Row]:
    if is_table(file.name):
        yield from table_rows(str(file), lines_of(file), Assumed(), KEYS)
        return
    for given in json_lines(file):
        yield given.line, given.row
