"""What the pages to look at show: queries, and plain values for the templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from labelling.store import rows, status
from labelling.store import tables as t
from labelling.web.cards import Thumb, image_url, options, ordered, thumbs
from labelling.web.names import Names
from modules.labels.model import MODEL
from modules.objectives import DEFAULT_OBJECTIVE, multi_label_names

PAGE = 50
RUNS = 20
WORSE = 30


def batch(connection: Connection, name: str, names: Names, hosts: Sequence[str], start: int) -> dict[str, Any] | None:
    """A batch with its items, ``PAGE`` at a time."""
    batch_row = connection.execute(select(t.batches).where(t.batches.c.id == name)).first()
    if batch_row is None:
        return None
    mine = t.items.c.batch == batch_row.number
    items = connection.execute(select(t.items).where(mine).order_by(t.items.c.rank).offset(start).limit(PAGE)).all()
    thumb_of_id = {thumb.id: thumb for thumb in thumbs(connection, [item.product_id for item in items], hosts)}
    given: dict[int, list[str]] = {}
    query = select(t.answers.c.item, t.answers.c.annotator, t.as_read.c.value, t.as_read.c.category)
    query = query.join(t.as_read, t.as_read.c.id == t.answers.c.label)
    for item, annotator, value, category in connection.execute(
        query.where(t.answers.c.item.in_([item.id for item in items]))
    ):
        given.setdefault(item, []).append(f"{annotator}: {names(category) or value.replace('_', ' ')}")
    count = connection.scalar(select(func.count()).select_from(t.items).where(mine)) or 0
    predicted = Counter(
        names(category).split(" > ")[0]
        for category in connection.scalars(select(t.items.c.predicted).where(mine, t.items.c.predicted.is_not(None)))
    )
    sources = connection.execute(
        select(t.items.c.source, func.count(), func.avg(t.items.c.utility)).where(mine).group_by(t.items.c.source)
    ).all()
    return {
        "batch": batch_row,
        "queue": next(iter(status.queues(connection, name)), None),
        "items": [
            {
                "item": item, "thumb": thumb_of_id[item.product_id], "answers": given.get(item.id, []),
                "predicted": names(item.category or item.predicted),
                "probability": item.suggestions[0][1] if item.suggestions else None,
            }
            for item in items
        ],
        "count": count, "start": start, "page": PAGE,
        "sources": sources, "predicted": predicted.most_common(12),
        "answers": status.answers_of(connection, name),
        "facts": _facts(batch_row.facts, batch_row.objective),
    }  # fmt: skip


PLAIN = ("strategy", "round", "seed", "size", "random", "pool", "labelled", "mean_utility", "classes",
         "classes_labelled", "classes_after")  # fmt: skip
"""Facts of a batch that come first, in this order."""


def _facts(facts: Mapping[str, Any], objective: str) -> list[tuple[str, list[tuple[str, Any]]]]:
    """(heading, rows): what the batch stands on, the strategy's parameters, where it came from."""
    mine = facts.get("objectives", {}).get(objective, {})
    parameters = facts.get("parameters", {})
    own = {key: value for key, value in facts.items() if key not in ("objectives", "parameters", *mine)}
    first = [(key, mine[key]) for key in PLAIN if key in mine] + [(k, v) for k, v in mine.items() if k not in PLAIN]
    groups = [("", first), ("Parameters", list(_flat(parameters))), ("Made from", sorted(_flat(own)))]
    known = [(name, [(key, value) for key, value in lines if value not in (None, "")]) for name, lines in groups]
    return [(name, lines) for name, lines in known if lines]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as plain rows: ``strategy › steps 1 › kind``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name} › {key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(element, Mapping) for element in value):
        for number, inner in enumerate(value, start=1):
            yield from _flat(inner, f"{name} {number}")
    else:
        yield name, ", ".join(map(str, value)) if isinstance(value, list) else value


def product(connection: Connection, name: str, names: Names, hosts: Sequence[str]) -> dict[str, Any] | None:
    """A product: fields, history, predictions, rules, neighbours, queues."""
    product_row = connection.execute(select(t.products).where(t.products.c.id == name)).first()
    history = rows.of_product(connection, name)
    if product_row is None and not history:
        return None
    fields = dict(product_row.fields) if product_row is not None else {}
    query = select(t.predictions, t.runs.c.time).outerjoin(t.runs, t.runs.c.id == t.predictions.c.run)
    query = query.where(t.predictions.c.product_id == name).order_by(t.runs.c.time.desc(), t.predictions.c.objective)
    queued = select(t.items, t.batches.c.id.label("batch_id")).join(t.batches).where(t.items.c.product_id == name)
    near = select(t.neighbours).where(t.neighbours.c.product_id == name).order_by(t.neighbours.c.similarity.desc())
    others = connection.execute(near).all()
    known = {thumb.id: thumb for thumb in thumbs(connection, [row.other for row in others], hosts)}
    fired = list(product_row.rules) if product_row is not None else []
    made_by = product_row.run if product_row is not None else None
    rules = select(t.rules).where(t.rules.c.rule.in_(fired), t.rules.c.run == made_by)
    conditions = {row.rule: row for row in connection.execute(rules)}
    kinds = status.kinds(connection)
    standing = {row.id for row in rows.standing(history, multi_label_names(kinds))}
    return {
        "id": name,
        "title": fields.pop("title", "") or name,
        "retailer": fields.pop("retailer", ""),
        "image": image_url(product_row, hosts),
        "fields": ordered(fields),
        "split": product_row.split if product_row is not None else None,
        "history": [
            {"row": row, "category": names(row.category), "stands": row.id in standing} for row in reversed(history)
        ],
        "predictions": [
            {"row": row, "options": options(row.top, names)[:5]} for row in connection.execute(query)
        ],
        "rules": [{"id": rule, "row": conditions.get(rule)} for rule in fired],
        "names": names,
        "neighbours": [
            Thumb(row.other, known[row.other].title, known[row.other].retailer, known[row.other].image,
                  f"{row.kind}, {row.similarity:.2f}", names(row.category))
            for row in others
        ],
        "queued": connection.execute(queued).all(),
        "objectives": kinds,
    }  # fmt: skip


def runs(connection: Connection, limit: int = RUNS) -> list[Any]:
    """The newest runs first."""
    return list(connection.execute(select(t.runs).order_by(t.runs.c.time.desc(), t.runs.c.id.desc()).limit(limit)))


def run(connection: Connection, name: str, names: Names) -> dict[str, Any] | None:
    """A run: figures beside the run before, categories, batches, rules."""
    run_row = connection.execute(select(t.runs).where(t.runs.c.id == name)).first()
    if run_row is None:
        return None
    before = connection.execute(
        select(t.runs).where(t.runs.c.workflow == run_row.workflow, t.runs.c.time < run_row.time)
        .order_by(t.runs.c.time.desc()).limit(1)
    ).first()  # fmt: skip
    figures = []
    for objective, values in sorted(run_row.facts.get("metrics", {}).items()):
        old = (before.facts.get("metrics", {}) if before is not None else {}).get(objective, {})
        for key in sorted(values):
            if not key.endswith(("/lower", "/upper")):
                interval = (values.get(f"{key}/lower"), values.get(f"{key}/upper"))
                figures.append((objective, key.replace("_", " "), values[key], interval, old.get(key)))
    query = select(t.category_metrics).where(t.category_metrics.c.run == name)
    categories = [
        {"objective": row.objective, "id": row.category, "path": names(row.category), **_category(row.figures)}
        for row in connection.execute(query)
    ]
    categories.sort(key=lambda row: (row["objective"], row["f1"] is None, row["f1"] or 0.0, row["path"]))
    rules = connection.execute(select(t.rules).where(t.rules.c.run == name)).all()
    return {
        "run": run_row,
        "before": before,
        "figures": figures,
        "categories": categories,
        "batches": connection.execute(select(t.batches).where(t.batches.c.run == name)).all(),
        "rules": sorted(rules, key=lambda row: -row.figures.get("products", 0)),
        "names": names,
    }


def _category(figures: dict[str, float]) -> dict[str, Any]:
    keys = ("f1", "precision", "recall", "support", "examples")
    return {key: figures.get(key) for key in keys} | {
        "lower": figures.get("f1/lower"),
        "upper": figures.get("f1/upper"),
    }


def categories(connection: Connection, names: Names) -> list[dict[str, Any]]:
    """Every category with its newest figures, labels and open products."""
    if names.tree is None:
        return []
    newest = select(func.max(t.runs.c.time)).scalar_subquery()
    query = select(t.category_metrics).join(t.runs).where(t.runs.c.time == newest)
    of_objective: dict[str, dict[str, dict[str, Any]]] = {}
    for row in connection.execute(query):
        of_objective.setdefault(row.objective, {})[row.category] = row.figures
    # Figures of several objectives do not compare, so all are of one: that which a workflow has by default, if any.
    shown = DEFAULT_OBJECTIVE if DEFAULT_OBJECTIVE in of_objective else min(of_objective, default="")
    figures = of_objective.get(shown, {})
    labelled: dict[str | None, int] = dict(
        connection.execute(
            select(t.as_read.c.category, func.count(t.as_read.c.product_id.distinct()))
            .where(t.as_read.c.value == "yes", t.as_read.c.source != MODEL).group_by(t.as_read.c.category)
        ).tuples().all()
    )  # fmt: skip
    opened: Counter[str] = Counter()
    for _, category, count in status.categories(connection):
        opened[category] += count
    return [
        {
            "category": category,
            "labelled": labelled.get(category.id, 0),
            "open": opened[category.id],
            **_category(figures.get(category.id, {})),
        }
        for category in names.tree
    ]


@dataclass(frozen=True)
class Point:
    """A run's figures of one category."""

    run: str
    time: int
    f1: float
    lower: float | None
    upper: float | None
    figures: dict[str, Any]


def category(connection: Connection, name: str, names: Names, hosts: Sequence[str]) -> dict[str, Any] | None:
    """A category: figures over runs, confusions, rules, examples."""
    subject = names.get(name)
    if subject is None:
        return None
    query = select(t.category_metrics, t.runs.c.time).join(t.runs).where(t.category_metrics.c.category == name)
    history: dict[str, list[Point]] = {}
    for row in connection.execute(query.order_by(t.runs.c.time)):
        f = row.figures
        if "f1" in f:
            point = Point(row.run, row.time, f["f1"], f.get("f1/lower"), f.get("f1/upper"), f)
            history.setdefault(row.objective, []).append(point)
    newest = connection.scalar(select(t.confusions.c.run).join(t.runs).order_by(t.runs.c.time.desc()).limit(1))
    wrong = (t.confusions.c.run == newest, t.confusions.c.category != t.confusions.c.predicted)
    taken = select(t.confusions).where(*wrong).order_by(t.confusions.c.products.desc())
    rules_run = connection.scalar(select(t.rules.c.run).join(t.runs).order_by(t.runs.c.time.desc()).limit(1))
    of_rules = select(t.rules).where(t.rules.c.run == rules_run, t.rules.c.category == name)
    gaps = select(t.category_rules).where(t.category_rules.c.run == rules_run, t.category_rules.c.category == name)
    labelled = select(t.as_read.c.product_id).where(t.as_read.c.category == name, t.as_read.c.value == "yes")
    labelled = labelled.where(t.as_read.c.source != MODEL)
    recent = list(connection.scalars(labelled.order_by(t.as_read.c.id.desc()).limit(24)))

    def pairs(query: Any, other: str) -> list[dict[str, Any]]:
        rows_ = connection.execute(query.limit(WORSE)).all()
        return [
            {"other": names(getattr(row, other)), "id": getattr(row, other), "products": row.products,
             "examples": thumbs(connection, row.examples, hosts)}
            for row in rows_
        ]  # fmt: skip

    missed = connection.execute(gaps).first()
    return {
        "category": subject,
        "above": names.tree.ancestors(subject) if names.tree is not None else (),
        "below": names.tree.children(subject) if names.tree is not None else (),
        "history": history,
        "taken_for": pairs(taken.where(t.confusions.c.category == name), "predicted"),
        "mistaken": pairs(taken.where(t.confusions.c.predicted == name), "category"),
        "rules": [
            {"row": row, **{kind: thumbs(connection, ids, hosts) for kind, ids in row.examples.items()}}
            for row in connection.execute(of_rules)
        ],
        "missed": missed,
        "missed_examples": thumbs(connection, missed.examples, hosts) if missed is not None else [],
        "recent": thumbs(connection, list(dict.fromkeys(recent))[:12], hosts),
        "open": sum(n for _, category_id, n in status.categories(connection) if category_id == name),
    }
