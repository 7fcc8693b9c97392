"""What comes back from Label Studio: its exports of all years as rows of a label file.

Since version 1.0 a task has ``annotations``, before it ``completions``, whose times are seconds since 1970 and which
say ``skipped``. JSON-MIN and CSV have a line per annotation, with the task's data beside the controls' values, and
leave out what was skipped. A cloud storage holds a file per annotation, with its task inside. Predictions and drafts
are no answers.
"""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from labelling.formats.checked import Given
from labelling.formats.label_studio import ANSWER, CATEGORY, NONE
from modules.errors import InputError, Problem, Problems, reason
from modules.feeds.opening import UNREADABLE, open_plain
from modules.labels.assumed import Assumed
from modules.objectives import kind_named
from modules.taxonomy.documents import did_you_mean

_VALUES = {NONE: "none_of_these", "yes": "yes", "no": "no"}
_MAX_BYTES = 512 << 20
_MAX_HEADER = 64 << 10
_ANNOTATION_LISTS = ("annotations", "completions")
_TABLE_COLUMNS = frozenset(("annotation_id", "annotator", "lead_time"))
"""Columns that Label Studio adds to the data of a task, in its CSV and its JSON-MIN."""


def is_table(file: Path) -> bool:
    """Whether a CSV file is Label Studio's, by its header.

    Raises:
      InputError: the file cannot be read.
    """
    try:
        with open_plain(str(file)) as stream:
            header = stream.readline(_MAX_HEADER).decode("utf-8-sig", errors="replace")
    except UNREADABLE as error:
        raise InputError(Problem(str(file), f"cannot be read: {reason(error)}")) from None
    return any(set(header.strip().split(mark)) >= _TABLE_COLUMNS for mark in ",\t")


def read_annotations(
    file: Path, people: Mapping[str, str], objectives: Mapping[str, str], assumed: Assumed
) -> Iterator[Given]:
    """The annotations of an export as rows of a label file; ``line`` counts tasks (of JSON-MIN and CSV: annotations).

    Args:
      people: Label Studio's user (id or e-mail) to annotator; others are called ``label-studio:<user>``.
      objectives: name to the name of its kind.
      assumed: tasks and annotations without an answer are noted there.

    Raises:
      InputError: the file cannot be read or is none of Label Studio's; or an annotation contradicts itself.
    """
    problems = Problems()
    for number, task in enumerate(_tasks(file), start=1):
        try:
            yield from (Given(number, row) for row in _rows(task, people, objectives, assumed))
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


def _tasks(file: Path) -> list[Any]:
    """Whatever the file holds a list of."""
    try:
        with open_plain(str(file)) as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except UNREADABLE as error:
        raise InputError(Problem(str(file), f"cannot be read: {reason(error)}")) from None
    if len(raw) > _MAX_BYTES:
        raise InputError(Problem(str(file), f"expected at most {_MAX_BYTES >> 20} MiB"))
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if raw.lstrip()[:1] not in (b"[", b"{"):
        return _table(file, raw)
    try:
        tasks = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        try:
            tasks = [orjson.loads(line) for line in raw.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            raise InputError(Problem(str(file), f"not JSON: {error}")) from None
    if isinstance(tasks, dict):
        # A page of the API's list, or the one task (or annotation) that a file of a cloud storage holds.
        tasks = tasks["tasks"] if isinstance(tasks.get("tasks"), list) else [tasks]
    if not isinstance(tasks, list):
        raise InputError(Problem(str(file), "expected a list of tasks, as Label Studio exports it"))
    return tasks


def _table(file: Path, raw: bytes) -> list[dict[str, Any]]:
    """The lines of Label Studio's CSV or TSV, as JSON-MIN has them."""
    try:
        text = raw.decode()
        header = text.partition("\n")[0]
        delimiter = "\t" if header.count("\t") > header.count(",") else ","
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        records = [{name: _cell(name, value) for name, value in row.items() if name and value} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(Problem(str(file), f"expected Label Studio's JSON or CSV: {reason(error)}")) from None
    if not set(reader.fieldnames or ()) >= _TABLE_COLUMNS:
        raise InputError(Problem(str(file), "expected JSON or CSV, as Label Studio exports it"))
    return records


def _cell(name: str, text: str) -> Any:
    """A cell's value: what is no text stands there as JSON, and a task's data as Python shows it."""
    if name not in ("shelfmark", "fields", "lead_time", CATEGORY, ANSWER):
        return text
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


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


def _rows(
    task: Any, people: Mapping[str, str], objectives: Mapping[str, str], assumed: Assumed
) -> list[dict[str, Any]]:
    """The answers to a task; raises :class:`_Bad`."""
    task = _mapping(task, "a task")
    if "data" not in task and isinstance(task.get("task"), dict):
        task = {**task["task"], "annotations": [task]}
    elif "data" not in task and ("annotation_id" in task or "annotator" in task):
        task = {"data": task, "annotations": [_of_record(task)]}
    data = _mapping(task.get("data"), "'data'")
    if "product_id" not in data:
        raise _Bad(
            "expected a task that Shelfmark exported, with 'product_id' under 'data'",
            hint="`shelfmark label export tasks.json` writes them",
        )
    about = _mapping(data.get("shelfmark"), "'shelfmark'")
    asked = {"product_id": data["product_id"]}
    if about.get("objective") is not None:
        asked["objective"] = about["objective"]
    kind = objectives.get(str(asked.get("objective")))
    several = kind is not None and not kind_named(kind).single_label
    annotations = [a for name in _ANNOTATION_LISTS for a in _listed(task.get(name), f"'{name}'")]
    if not annotations:
        why = "without an annotation (predictions and drafts are no answers)"
        assumed.passed_over[f"task {why}", f"tasks {why}"] += 1
    imported = []
    for annotation in annotations:
        hint = "export the annotations themselves, not only their ids"
        answers = _from(_mapping(annotation, "an annotation", hint), asked, about, people, several)
        if not answers:
            assumed.passed_over["annotation in which nothing is chosen", "annotations in which nothing is chosen"] += 1
        imported += answers
    return imported


def _of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """The annotation that a line of JSON-MIN or CSV stands for."""
    results = [
        {"type": kind, "value": {kind: _selections(record.get(control), kind)}}
        for control, kind in ((CATEGORY, "taxonomy"), (ANSWER, "choices"))
        if record.get(control) is not None
    ]
    kept = {name: record.get(name) for name in ("created_at", "updated_at", "lead_time")}
    return {**kept, "completed_by": record.get("annotator"), "result": results}


def _selections(value: Any, kind: str) -> list[Any]:
    """What a control's value in JSON-MIN selects: ``{kind: [...]}``, a list of such or of selections, or one choice."""
    if isinstance(value, dict):
        return _listed(value.get(kind), f"'{kind}'")
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return [selection for part in value for selection in _selections(part, kind)]
    if isinstance(value, list):
        return value
    return [value]


def _answers(results: list[Any], several: bool) -> list[tuple[str, list[str] | None]]:
    """Values and categories that an annotation's results say; nothing if they say nothing.

    A widget that was filled and emptied again leaves a result without a selection.

    Args:
      several: a product may be in several categories.
    """
    paths: list[list[str]] = []
    choices: list[str] = []
    for result in results:
        kind = _mapping(result, "a result").get("type")
        if kind not in ("taxonomy", "choices"):
            continue
        for selected in _listed(_mapping(result.get("value"), "'value'").get(kind), f"'{kind}'"):
            if kind == "choices":
                if not isinstance(selected, str) or selected not in _VALUES:
                    hint = did_you_mean(selected, _VALUES) if isinstance(selected, str) else ""
                    raise _Bad(f"expected one of the choices {', '.join(map(repr, _VALUES))}", selected, hint)
                if selected not in choices:
                    choices.append(selected)
            elif not isinstance(selected, list) or not all(isinstance(name, str) for name in selected):
                raise _Bad("expected a category as a list of names", selected)
            elif selected and selected not in paths:
                paths.append(selected)
    # Who ticks a category and one below it means the one below.
    paths = [path for path in paths if not any(path == other[: len(path)] for other in paths if other != path)]
    if len(choices) > 1 or (choices and paths) or (len(paths) > 1 and not several):
        said = [" > ".join(path) for path in paths] + choices
        raise _Bad("expected one answer", ", ".join(said), "let the annotator choose one of them")
    return [("yes", path) for path in paths] or [(_VALUES[choice], None) for choice in choices]


def _from(
    annotation: Mapping[str, Any],
    asked: Mapping[str, str],
    about: Mapping[str, Any],
    people: Mapping[str, str],
    several: bool,
) -> list[dict[str, Any]]:
    """An annotation's answers."""
    kept: Mapping[str, Any] = {}
    results = _listed(annotation.get("result"), "'result'")
    for result in results:
        meta = _mapping(_mapping(result, "a result").get("meta"), "'meta'")
        kept = _mapping(meta.get("shelfmark"), "'shelfmark'") or kept
    # Skipped, whatever stands in the widgets: a suggestion stays there.
    skipped = annotation.get("was_cancelled") or annotation.get("skipped")
    said: list[tuple[str, list[str] | None]] = [("skip", None)] if skipped else _answers(results, several)
    seconds = annotation.get("lead_time")
    answers = []
    for value, chosen in said:
        category = None if value in ("none_of_these", "skip") else chosen or about.get("category")
        if len(said) == 1 and kept and kept.get("value") == value and _same(kept, category):
            row = {name: kept.get(name) for name in ("annotator", "time", "batch", "source", "inclusion_probability")}
            row["category"] = kept.get("category")
        else:
            row = {name: about.get(name) for name in ("batch", "inclusion_probability")}
            row |= {"category": category, "annotator": _annotator(annotation, people)}
            row |= {"source": about.get("source") or "import"}
            time = _time(annotation.get("updated_at") or annotation.get("created_at"))
            row |= {} if time is None else {"time": time}
        answers.append({**asked, **row, "value": value, "seconds": seconds})
    return answers


def _annotator(annotation: Mapping[str, Any], people: Mapping[str, str]) -> str:
    who = annotation.get("completed_by")
    if isinstance(who, Mapping):
        who = who.get("email") or who.get("id")
    if who is None:
        # Older exports have the e-mail address and the id in one text.
        who = str(annotation.get("created_username") or "").partition(",")[0].strip() or None
    if who is None:
        return "label-studio"
    return people.get(str(who), f"label-studio:{who}")


def _time(given: Any) -> Any:
    """ISO 8601 of seconds since 1970, as completions have them; else what was given."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        try:
            return datetime.fromtimestamp(given, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return str(given)
    return given


def _same(kept: Mapping[str, Any], category: Any) -> bool:
    """Whether the category that the annotation shows is the one it was exported with."""
    return bool(kept.get("path" if isinstance(category, list) else "category") == category)
