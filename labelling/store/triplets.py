"""People's verdicts on which of two products is more like a third one: appending, reading, and what to ask next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from labelling.store.rows import CHUNK
from labelling.store.tables import triplet_questions, triplets
from modules.errors import InputError
from modules.similarity_quality.triplets import Question, Triplet, problems_of

WANTED = 3
"""Annotators of a question, as Wang et al. (2014) have it."""


def append_triplet(connection: Connection, triplet: Triplet, request: str | None = None) -> int:
    """Keeps a verdict; in a writing transaction. A later one of the same annotator takes its place in what counts.

    Args:
      request: unique; the same one is kept only once, however often it is sent.

    Returns:
      The row's id.

    Raises:
      InputError: a text is missing or too long, the products are not three, or the verdict is none of the four.
    """
    values = {name: getattr(triplet, name) for name in ("query", "a", "b", "verdict", "annotator")}
    if problems := problems_of(values | {"methods": triplet.methods}):
        raise InputError(problems)
    if request is not None:
        before = connection.scalar(select(triplets.c.id).where(triplets.c.request == request))
        if before is not None:
            return int(before)
    query, a, b = triplet.key
    asked = triplet_questions.c
    question = connection.scalar(select(asked.id).where(asked.query == query, asked.a == a, asked.b == b))
    row = values | {"time": triplet.time, "methods": list(triplet.methods), "question": question, "request": request}
    return int(connection.execute(insert(triplets).values(row).returning(triplets.c.id)).scalar_one())


def read_triplets(connection: Connection) -> Iterator[Triplet]:
    """All verdicts in the order of their time; streams.
    :func:`modules.similarity_quality.triplets.standing` tells which ones count."""
    query = select(triplets).order_by(triplets.c.time, triplets.c.id)
    for row in connection.execute(query, execution_options={"yield_per": CHUNK}):
        yield Triplet(row.query, row.a, row.b, row.verdict, row.annotator, row.time, tuple(row.methods))


def add_questions(connection: Connection, questions: Iterable[Question], now: int, wanted: int = WANTED) -> int:
    """Queues triplets to ask about; in a writing transaction. Those that are known already stay as they are.

    Args:
      wanted: how many annotators are to answer each.

    Returns:
      How many were new.
    """
    before = connection.scalar(select(func.count()).select_from(triplet_questions)) or 0
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(triplet_questions).on_conflict_do_nothing()
    rest = iter(questions)
    while chunk := list(islice(rest, CHUNK)):
        rows = []
        for question in chunk:
            query, a, b = question.key
            methods = question.methods if question.a == a else question.methods[::-1]
            rows.append({"query": query, "a": a, "b": b, "methods": list(methods), "wanted": wanted, "time": now})
        connection.execute(statement, rows)
    return int(connection.scalar(select(func.count()).select_from(triplet_questions)) or 0) - int(before)


def next_triplets(connection: Connection, annotator: str, count: int = 1, skip: int = 0) -> list[Question]:
    """The next questions for an annotator: none that they have answered, none that enough others have.

    Questions that others have begun come first: only what all asked annotators agree on is measured with. Which product
    is A differs from annotator to annotator, and stays the same when asked again.

    Args:
      skip: how many to pass over.
    """
    answered = (triplets.c.annotator == annotator, triplets.c.question.is_not(None))
    mine = select(triplets.c.question).where(*answered)
    given = func.count(triplets.c.annotator.distinct())
    query = (
        select(triplet_questions)
        .outerjoin(triplets, triplets.c.question == triplet_questions.c.id)
        .where(triplet_questions.c.id.not_in(mine))
        .group_by(triplet_questions.c.id)
        .having(given < triplet_questions.c.wanted)
        .order_by(given.desc(), triplet_questions.c.id)
        .limit(count)
        .offset(skip)
    )
    questions = []
    for row in connection.execute(query):
        turn = hashlib.sha256(f"{row.id} {annotator}".encode()).digest()[0] & 1
        a, b, methods = (row.b, row.a, row.methods[::-1]) if turn else (row.a, row.b, row.methods)
        questions.append(Question(row.query, a, b, tuple(methods)))
    return questions


def last_verdict(connection: Connection, annotator: str) -> Question | None:
    """The three products that an annotator judged last, on the sides they were shown on."""
    query = select(triplets).where(triplets.c.annotator == annotator).order_by(triplets.c.id.desc()).limit(1)
    row = connection.execute(query).first()
    return Question(row.query, row.a, row.b, tuple(row.methods)) if row is not None else None


def is_question(connection: Connection, question: Question) -> bool:
    """Whether these three are queued, whichever side A and B are on."""
    query, a, b = question.key
    asked = triplet_questions.c
    return connection.scalar(select(asked.id).where(asked.query == query, asked.a == a, asked.b == b)) is not None


def judged(connection: Connection, annotator: str) -> int:
    """How many verdicts an annotator has given."""
    return connection.scalar(select(func.count()).where(triplets.c.annotator == annotator)) or 0
