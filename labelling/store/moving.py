"""Carries the labels over to another taxonomy: how each row of the log reads from then on, beside the log itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from labelling.content import Batch, Item
from labelling.store import accounts, importing, status
from labelling.store import tables as t
from labelling.store.rows import CHUNK
from modules.counting import counted
from modules.errors import InputError, Problem, Problems
from modules.labels.model import MODEL
from modules.labels.moving import Reading, Said, readings
from modules.objectives import DEFAULT_KIND, kind_named
from modules.taxonomy.mapping import Moves

Rules = Callable[[Mapping[str, str]], Collection[str]]
"""The ids of the new categories that the rules put a product with these fields into."""


@dataclass
class Plan:
    """What a migration does to the store.

    Attributes:
      counts: labels by what becomes of them: ``same``, ``moved``, ``open``, ``dropped``. All rows of the log that say
        something are in it once.
      relabelled: the log's row to what stands in its place.
      questions: by objective, the products whose labels are open, with a question each.
      by_rule: labels of split categories that a rule decides; they are among the moved ones.
      none_of_these: labels that say so and stay, although there are new categories.
    """

    counts: Counter[str] = field(default_factory=Counter)
    relabelled: dict[int, tuple[Said, ...]] = field(default_factory=dict)
    questions: dict[str, list[Item]] = field(default_factory=dict)
    by_rule: int = 0
    none_of_these: int = 0

    @property
    def facts(self) -> dict[str, int]:
        """The counts and the number of products that are asked about."""
        asked = sum(len({item.product_id for item in items}) for items in self.questions.values())
        return {
            **{state: self.counts[state] for state in ("same", "moved", "open", "dropped")},
            "by_rule": self.by_rule, "asked": asked, "none_of_these": self.none_of_these,
        }  # fmt: skip


def plan(connection: Connection, moves: Moves, rules: Rules | None = None) -> Plan:
    """How every label reads in the new taxonomy; changes nothing. Memory grows with the labels that change.

    Raises:
      InputError: labels name categories that are in neither taxonomy.
    """
    _check_categories(connection, moves)
    result = Plan()
    kinds = status.kinds(connection)
    unsourced = any(not sources for sources in moves.sources.values())
    for group in _groups(connection):
        first = group[0]
        single = kind_named(kinds.get(first.objective, DEFAULT_KIND)).single_label
        said = [Said(row.value, row.category) for row in group]
        read = readings(said, moves, single)
        if rules is not None and any(reading.state == "open" for reading in read):
            decided = _decided(connection, first.product_id, said, read, rules)
            ruled = readings(said, moves, single, decided)
            result.by_rule += sum(a.state == "open" != b.state for a, b in zip(read, ruled, strict=True))
            read = ruled
        _note(result, group, read, kinds)
        result.none_of_these += unsourced and said[-1].value == "none_of_these"
    known = set(connection.scalars(select(t.products.c.id))) if result.questions else set()
    result.questions = {
        objective: items
        for objective, questions in result.questions.items()
        if (items := [item for item in questions if item.product_id in known])
    }
    return result


def _check_categories(connection: Connection, moves: Moves) -> None:
    problems = Problems()
    named = t.as_read.c.category
    query = select(named, func.count()).where(named.is_not(None)).group_by(named).order_by(named)
    for category, count in connection.execute(query):
        if category not in moves.old and category not in moves.new:
            hint = "migrate from the taxonomy that they were given in"
            expected = f"{counted(count, 'label has', 'labels have')} this category, which is in neither taxonomy"
            problems.add(Problem("", expected, key="category", value=category, hint=hint))
    if problems:
        raise InputError(problems)


def _groups(connection: Connection) -> Iterator[Sequence[Row[Any]]]:
    """The rows of one annotator about one product after those of another; the oldest first."""
    key = ("product_id", "objective", "annotator")
    columns = t.as_read.c
    query = select(
        *(columns[name] for name in ("id", *key, "category", "value", "source", "inclusion_probability"))
    ).order_by(*(columns[name] for name in key), columns.time, columns.id)
    for _, group in groupby(connection.execute(query, execution_options={"yield_per": CHUNK}), attrgetter(*key)):
        yield list(group)


def _decided(
    connection: Connection, product: str, said: Sequence[Said], read: Sequence[Reading], rules: Rules
) -> dict[str, str]:
    """Of the split categories that the answers name, the parts that the rules put the product into."""
    fields = connection.scalar(select(t.products.c.fields).where(t.products.c.id == product))
    fired = set(rules(fields)) if fields else set()
    decided = {}
    for answer, reading in zip(said, read, strict=True):
        parts = [choice for choice in reading.choices if choice in fired]
        if reading.state == "open" and answer.category is not None and len(parts) == 1:
            decided[answer.category] = parts[0]
    return decided


def _note(result: Plan, group: Sequence[Row[Any]], read: Sequence[Reading], kinds: Mapping[str, str]) -> None:
    now: dict[int, list[Said]] = {}
    before: dict[int, list[Said]] = {}
    states: dict[int, str] = {}
    for row, reading in zip(group, read, strict=True):
        before.setdefault(row.id, []).append(Said(row.value, row.category))
        now.setdefault(row.id, []).extend(reading.said)
        if states.get(row.id, "same") == "same":
            states[row.id] = reading.state
    result.counts.update(states.values())
    result.relabelled |= {label: tuple(said) for label, said in now.items() if said != before[label]}
    row, reading = group[-1], read[-1]
    if row.source == MODEL:
        return
    kind = kind_named(kinds.get(row.objective, DEFAULT_KIND))
    asked = [(row, reading)] if kind.single_label else list(zip(group, read, strict=True))
    for row, reading in asked:
        if reading.state == "open":
            _ask(result.questions.setdefault(row.objective, []), row, reading, kind.single_label)


def _ask(questions: list[Item], row: Row[Any], reading: Reading, single_label: bool) -> None:
    """Which of the choices it is; or of each choice, whether it is that, where several may be."""
    suggestions = [(choice, 1 / len(reading.choices)) for choice in reading.choices]
    for category in ("",) if single_label else reading.choices:
        # A product that was drawn at random is a random one, however often it is asked about.
        item = Item(
            len(questions), row.product_id, row.source, category, suggestions if single_label else (),
            strategy="taxonomy", inclusion_probability=row.inclusion_probability,
        )  # fmt: skip
        questions.append(item)


def carry(
    connection: Connection, moves: Moves, identity: str, now: int, rules: Rules | None = None
) -> Mapping[str, int]:
    """Carries the labels over; in a writing transaction. The same migration is done once.

    Args:
      moves: where the products of each category are now.
      identity: of the migration.
      now: microseconds since 1970. rules: they decide about labels of split categories.

    Returns:
      The plan's facts, of the first time.

    Raises:
      InputError: as :func:`plan`.
    """
    before = done(connection, identity)
    if before is not None:
        return before
    migrations = t.taxonomy_migrations
    planned = plan(connection, moves, rules)
    row = {
        "id": identity, "old": moves.old.fingerprint(), "new": moves.new.fingerprint(), "time": now,
        "targets": {old: list(new) for old, new in moves.targets.items() if not moves.unchanged(old)},
        "counts": planned.facts,
    }  # fmt: skip
    number = int(connection.execute(insert(migrations).values(row).returning(migrations.c.number)).scalar_one())
    _relabel(connection, planned.relabelled, number)
    _mend_queue(connection, moves)
    importing.taxonomy(connection, moves.new, now)
    for objective, questions in planned.questions.items():
        importing.batch(connection, Batch(f"taxonomy-{number}-{objective}", objective, questions), now)
    accounts.record(connection, now, "", "taxonomy", {"migration": number, **planned.facts})
    return planned.facts


def done(connection: Connection, identity: str) -> Mapping[str, int] | None:
    """The facts of a migration that was done already; None: it was not."""
    query = select(t.taxonomy_migrations.c.counts).where(t.taxonomy_migrations.c.id == identity)
    return connection.execute(query).scalar()


def _relabel(connection: Connection, relabelled: Mapping[int, Sequence[Said]], number: int) -> None:
    table = t.relabelled
    replaced = table.update().where(table.c.label == bindparam("row"), table.c.until.is_(None)).values(until=number)
    labels = list(relabelled)
    for start in range(0, len(labels), CHUNK):
        some = labels[start : start + CHUNK]
        connection.execute(replaced, [{"row": label} for label in some])
        rows = [
            {"label": label, "migration": number, "part": part, "category": category, "value": value}
            for label in some
            for part, (value, category) in enumerate(relabelled[label] or [(None, None)])
        ]
        connection.execute(insert(table), rows)


def _mend_queue(connection: Connection, moves: Moves) -> None:
    """Lets open questions speak of the new categories, and closes those about a category that is none of them."""
    items = t.items
    columns = (items.c.id, items.c.category, items.c.suggestions)
    for item, category, suggestions in connection.execute(select(*columns).where(items.c.state == "open")).all():
        values: dict[str, Any] = {}
        if category and not moves.unchanged(category):
            targets = moves.targets.get(category, ())
            # Another question may have the category's id.
            if len(targets) == 1 and moves.sources[targets[0]] == (category,) and targets[0] not in moves.old:
                values["category"] = targets[0]
            else:
                values["state"] = "closed"
        kept = [[*moves.targets[row[0]], *row[1:]] for row in suggestions if len(moves.targets.get(row[0], ())) == 1]
        if kept != suggestions:
            values |= {"suggestions": kept, "predicted": kept[0][0] if kept else None}
        if values:
            connection.execute(update(items).where(items.c.id == item).values(**values))
