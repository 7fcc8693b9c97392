"""Label Studio's tasks, with the model's suggestions as predictions and the answers as annotations.

A task's ``data`` has the product's fields, a ``text`` that shows them, and under ``shelfmark`` what the queue knows.
An annotation's result has under ``meta`` who gave the answer and when: Label Studio keeps it, so that the answer is
recognised when it comes back (:mod:`labelling.formats.label_studio_exports`), and is only new if somebody changed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from sqlalchemy import Connection, select

from labelling.store import rows
from labelling.store.tables import batches, items, labels, products
from modules.errors import InputError, Problem
from modules.objectives import DEFAULT_KIND, kind_named
from modules.taxonomy import Category, Taxonomy

NONE = "none of these"
CATEGORY, ANSWER = "category", "answer"
"""Names of the two controls of the labelling interface."""


def configuration(taxonomy: Taxonomy, kind: str = DEFAULT_KIND) -> str:
    """The labelling interface for a project, as Label Studio's XML."""
    if not kind_named(kind).single_label:
        body = _choices(["yes", "no"])
        return f'<View>\n  <Text name="product" value="$text"/>\n  <Header value="$question"/>\n{body}</View>\n'

    def choice(category: Category, indent: str) -> str:
        below = "".join(choice(child, indent + "  ") for child in taxonomy.children(category))
        head = f"{indent}<Choice value={quoteattr(category.path[-1])}"
        return f"{head}>\n{below}{indent}</Choice>\n" if below else f"{head}/>\n"

    tree = "".join(choice(root, "    ") for root in taxonomy.roots)
    head = f'  <Text name="product" value="$text"/>\n  <Taxonomy name="{CATEGORY}" toName="product" maxUsages="1">\n'
    return f"<View>\n{head}{tree}  </Taxonomy>\n{_choices([NONE])}</View>\n"


def _choices(values: Iterable[str]) -> str:
    inner = "".join(f"    <Choice value={quoteattr(value)}/>\n" for value in values)
    return f'  <Choices name="{ANSWER}" toName="product" choice="single">\n{inner}  </Choices>\n'


def tasks(
    connection: Connection, taxonomy: Taxonomy | None, kinds: Mapping[str, str], batch: str | None = None
) -> Iterator[dict[str, Any]]:
    """A task per question: everything queued (of one batch, if given), and what is labelled without having been.

    Raises:
      InputError: the store knows no taxonomy.
    """
    if taxonomy is None:
        raise InputError(Problem("", "the label store knows no taxonomy yet", hint="import a batch first"))
    query = select(items, batches.c.id.label("batch_id")).join(batches).order_by(items.c.batch, items.c.rank)
    if batch is not None:
        query = query.where(batches.c.id == batch)
    done: set[tuple[str, str, str]] = set()
    item_rows = connection.execute(query).all()
    for start in range(0, len(item_rows), 500):
        some = item_rows[start : start + 500]
        known = _products(connection, [item.product_id for item in some])
        standing = rows.standing_of(connection, [item.product_id for item in some], kinds)
        for item in some:
            key = (item.product_id, item.objective, item.category)
            if key in done or kinds.get(item.objective) is None:
                continue
            done.add(key)
            task = _task(item.product_id, item.objective, item.category, known, taxonomy)
            task["data"]["shelfmark"] |= {
                "batch": item.batch_id, "source": item.source, "inclusion_probability": item.inclusion_probability,
            }  # fmt: skip
            task["predictions"] = _predictions(item, taxonomy, kinds[item.objective])
            task["annotations"] = _annotations(standing.get(item.product_id, []), key, kinds[item.objective], taxonomy)
            yield task
    if batch is None:
        yield from _unasked(connection, taxonomy, kinds, done)


def _unasked(
    connection: Connection, taxonomy: Taxonomy, kinds: Mapping[str, str], done: set[tuple[str, str, str]]
) -> Iterator[dict[str, Any]]:
    names = list(connection.scalars(select(labels.c.product_id).distinct().order_by(labels.c.product_id)))
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        known = _products(connection, some)
        for product, label_rows in rows.standing_of(connection, some, kinds).items():
            for row in label_rows:
                kind = kinds.get(row.objective)
                if kind is None:
                    continue
                key = (product, row.objective, kind_named(kind).asked_category(row.category))
                if key in done:
                    continue
                done.add(key)
                task = _task(product, row.objective, key[2], known, taxonomy)
                yield {**task, "annotations": _annotations(label_rows, key, kind, taxonomy), "predictions": []}


def _products(connection: Connection, names: list[str]) -> dict[str, dict[str, str]]:
    query = select(products.c.id, products.c.fields).where(products.c.id.in_(names))
    return {name: fields for name, fields in connection.execute(query).tuples()}


def _task(
    product: str, objective: str, category: str, known: Mapping[str, Mapping[str, str]], taxonomy: Taxonomy
) -> dict[str, Any]:
    fields = known.get(product, {})
    text = "\n".join(f"{name}: {value}" for name, value in fields.items()) or product
    question = taxonomy[category].text if category in taxonomy else category
    data = {"product_id": product, "text": text, "question": question, "fields": dict(fields)}
    return {"data": {**data, "shelfmark": {"objective": objective, "category": category or None}}}


def _predictions(item: Any, taxonomy: Taxonomy, kind: str) -> list[dict[str, Any]]:
    known = [(taxonomy[c], p) for c, p, *_ in item.suggestions if c in taxonomy]
    if kind_named(kind).single_label:
        results = [(_taxonomy(category), p) for category, p in known[:1]]
    else:
        results = [(_choice("yes" if p >= 0.5 else "no"), max(p, 1 - p)) for c, p in known if c.id == item.category]
    return [{"model_version": item.model or "model", "score": p, "result": [result]} for result, p in results]


def _annotations(
    label_rows: list[Any], key: tuple[str, str, str], kind: str, taxonomy: Taxonomy
) -> list[dict[str, Any]]:
    made = []
    asked = kind_named(kind)
    for row in label_rows:
        if row.objective != key[1] or (not asked.single_label and (row.category or "") != key[2]):
            continue
        if not asked.single_label and row.value in ("yes", "no"):
            result = _choice(row.value)
        elif row.value == "none_of_these":
            result = _choice(NONE)
        elif row.value == "yes" and row.category in taxonomy:
            result = _taxonomy(taxonomy[row.category])
        else:
            continue
        kept = {
            "annotator": row.annotator, "time": rows.time_text(row.time), "value": row.value, "category": row.category,
            "batch": row.batch, "source": row.source, "inclusion_probability": row.inclusion_probability,
        }  # fmt: skip
        if row.value == "yes" and row.category in taxonomy:
            kept["path"] = list(taxonomy[row.category].path)
        result["meta"] = {"shelfmark": kept}
        made.append({"result": [result], "was_cancelled": False, "lead_time": row.seconds})
    return made


def _taxonomy(category: Category) -> dict[str, Any]:
    value = {"taxonomy": [list(category.path)]}
    return {"id": CATEGORY, "from_name": CATEGORY, "to_name": "product", "type": "taxonomy", "value": value}


def _choice(value: str) -> dict[str, Any]:
    chosen = {"choices": [value]}
    return {"id": ANSWER, "from_name": ANSWER, "to_name": "product", "type": "choices", "value": chosen}
