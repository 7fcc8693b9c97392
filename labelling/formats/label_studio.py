"""Label Studio's JSON: tasks with the model's suggestions as predictions and the answers as annotations, and back.

A task's ``data`` has the product's fields, a ``text`` that shows them, and under ``shelfmark`` what the queue knows.
An annotation's result has under ``meta`` who gave the answer and when: Label Studio keeps it, so that the answer is
recognised when it comes back, and is only new if somebody changed it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import orjson
from sqlalchemy import Connection, select

from labelling.formats.checked import Given
from labelling.store import rows
from labelling.store.tables import batches, items, labels, products
from modules.errors import InputError, Problem, Problems, reason
from modules.feeds.opening import UNREADABLE, open_plain
from modules.objectives import DEFAULT_KIND, DEFAULT_OBJECTIVE, kind_named
from modules.taxonomy import Category, Taxonomy

NONE = "none of these"
_VALUES = {NONE: "none_of_these", "yes": "yes", "no": "no"}
_MAX_BYTES = 512 << 20


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
    head = '  <Text name="product" value="$text"/>\n  <Taxonomy name="category" toName="product" maxUsages="1">\n'
    return f"<View>\n{head}{tree}  </Taxonomy>\n{_choices([NONE])}</View>\n"


def _choices(values: Iterable[str]) -> str:
    inner = "".join(f"    <Choice value={quoteattr(value)}/>\n" for value in values)
    return f'  <Choices name="answer" toName="product" choice="single">\n{inner}  </Choices>\n'


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
    known = [(taxonomy[c], p) for c, p in item.suggestions if c in taxonomy]
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
    return {"id": "category", "from_name": "category", "to_name": "product", "type": "taxonomy", "value": value}


def _choice(value: str) -> dict[str, Any]:
    chosen = {"choices": [value]}
    return {"id": "answer", "from_name": "answer", "to_name": "product", "type": "choices", "value": chosen}


def read_annotations(file: Path, people: Mapping[str, str]) -> Iterator[Given]:
    """The annotations of an export (``JSON`` in Label Studio's menu) as rows of a label file; ``line`` counts tasks.

    Args:
      people: Label Studio's user (id or e-mail) to annotator; others are called ``label-studio:<user>``.

    Raises:
      InputError: the file cannot be read or is none of Label Studio's; or a task holds several answers of one person.
    """
    try:
        with open_plain(str(file)) as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except UNREADABLE as error:
        raise InputError(Problem(str(file), f"cannot be read: {reason(error)}")) from None
    if len(raw) > _MAX_BYTES:
        raise InputError(Problem(str(file), f"expected at most {_MAX_BYTES >> 20} MiB"))
    try:
        tasks = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InputError(Problem(str(file), f"not JSON: {error}")) from None
    if not isinstance(tasks, list):
        raise InputError(Problem(str(file), "expected a list of tasks, as Label Studio exports it"))
    problems = Problems()
    for number, task in enumerate(tasks, start=1):
        try:
            yield from (Given(number, row) for row in _rows(task, people))
        except _Bad as bad:
            problems.add(Problem(str(file), bad.expected, number, "task", bad.value, bad.hint))
    if problems:
        raise InputError(problems)


class _Bad(Exception):
    """A task is none that can be read."""

    def __init__(self, expected: str, value: object = None, hint: str = ""):
        super().__init__(expected)
        self.expected, self.hint = expected, hint
        self.value = None if value is None else value if isinstance(value, str) else json.dumps(value)[:200]


def _mapping(value: Any, what: str, hint: str = "") -> Mapping[str, Any]:
    """``value``, empty for null, if it is an object."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Bad(f"expected {what} to be an object", value, hint)
    return value


def _listed(value: Any, what: str) -> list[Any]:
    """``value``, empty for null, if it is a list."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _Bad(f"expected {what} to be a list", value)
    return value


def _rows(task: Any, people: Mapping[str, str]) -> list[dict[str, Any]]:
    """The answers to a task; raises :class:`_Bad`."""
    data = _mapping(_mapping(task, "a task").get("data"), "'data'")
    if "product_id" not in data:
        hint = "export the project as JSON; JSON-MIN and CSV leave out what the answers belong to"
        raise _Bad("expected a task that Shelfmark exported, with 'product_id' under 'data'", hint=hint)
    about = _mapping(data.get("shelfmark"), "'shelfmark'")
    asked = {"product_id": data["product_id"], "objective": about.get("objective", DEFAULT_OBJECTIVE)}
    imported = []
    for annotation in _listed(task.get("annotations"), "'annotations'"):
        row = _from(_mapping(annotation, "an annotation"), asked, about, people)
        if row is not None:
            imported.append(row)
    return imported


def _answer(results: list[Any]) -> tuple[str, list[str] | None]:
    """Value and category that an annotation's results say; the empty value if they say nothing.

    A widget that was filled and emptied again leaves a result without a selection.
    """
    paths: list[list[str]] = []
    choices: list[str] = []
    for result in results:
        kind = _mapping(result, "a result").get("type")
        if kind not in ("taxonomy", "choices"):
            continue
        for one in _listed(_mapping(result.get("value"), "'value'").get(kind), f"'{kind}'"):
            if kind == "choices":
                if not isinstance(one, str) or one not in _VALUES:
                    raise _Bad(f"expected one of the choices {', '.join(map(repr, _VALUES))}", one)
                if one not in choices:
                    choices.append(one)
            elif not isinstance(one, list) or not all(isinstance(name, str) for name in one):
                raise _Bad("expected a category as a list of names", one)
            elif one and one not in paths:
                paths.append(one)
    if len(paths) + len(choices) > 1:
        said = [" > ".join(path) for path in paths] + choices
        raise _Bad("expected one answer", ", ".join(said), "let the annotator choose one of them")
    if paths:
        return "yes", paths[0]
    return (_VALUES[choices[0]], None) if choices else ("", None)


def _from(
    annotation: Mapping[str, Any], asked: Mapping[str, str], about: Mapping[str, Any], people: Mapping[str, str]
) -> dict[str, Any] | None:
    category = about.get("category")
    kept: Mapping[str, Any] = {}
    results = _listed(annotation.get("result"), "'result'")
    for result in results:
        meta = _mapping(_mapping(result, "a result").get("meta"), "'meta'")
        kept = _mapping(meta.get("shelfmark"), "'shelfmark'") or kept
    if annotation.get("was_cancelled"):
        # Skipped, whatever stands in the widgets: a suggestion stays there.
        value = "skip"
    else:
        value, chosen = _answer(results)
        category = chosen or category
    if not value:
        return None
    if value in ("none_of_these", "skip"):
        category = None
    common = {name: about.get(name) for name in ("batch", "inclusion_probability")}
    if kept and kept.get("value") == value and _same(kept, category):
        row = {name: kept.get(name) for name in ("annotator", "time", "batch", "source", "inclusion_probability")}
        seconds = annotation.get("lead_time")
        return {**asked, **row, "value": value, "category": kept.get("category"), "seconds": seconds}
    who = annotation.get("completed_by")
    user = str(who.get("email") or who.get("id")) if isinstance(who, Mapping) else str(who)
    return {
        **asked, **common,
        "value": value,
        "category": category,
        "annotator": people.get(user, f"label-studio:{user}"),
        "time": annotation.get("updated_at") or annotation.get("created_at"),
        "source": about.get("source") or "import",
        "seconds": annotation.get("lead_time"),
    }  # fmt: skip


def _same(kept: Mapping[str, Any], category: Any) -> bool:
    """Whether the category that the annotation shows is the one it was exported with."""
    return bool(kept.get("path" if isinstance(category, list) else "category") == category)
