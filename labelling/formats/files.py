"""Exporting the store's labels to a file, and importing files into it."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, select

from labelling.formats import label_studio, label_studio_exports
from labelling.formats.checked import Given, checked, json_lines, lines_of
from labelling.store import Store, queue, rows, status
from labelling.store.answering import is_known
from labelling.store.tables import items, labels
from modules.errors import InputError, Problem
from modules.labels.assumed import Assumed
from modules.labels.ids import other_spelling
from modules.labels.model import MODEL
from modules.labels.tables import COLUMNS, MORE, table_rows
from modules.objectives import kind_named, multi_label_names
from modules.taxonomy import Taxonomy

FORMATS = {".jsonl": "jsonl", ".csv": "csv", ".tsv": "csv", ".json": "label-studio"}
_RISKY = re.compile(r"[\s\x00]*[=+\-@＝＋－＠']|[\t\r\n]")
"""A cell that a spreadsheet may run as a formula (OWASP, CSV injection), or that begins with the mark against that."""


@dataclass(frozen=True)
class ImportedLabels:
    """What an import did.

    Attributes:
      added: rows that the store did not have. known: those that it had already.
      sources: source to the number of the files' rows. products: ids of the products that the rows are about.
      notes: what was assumed for rows that left something out, and what was passed over; a sentence each.
    """

    added: int
    known: int
    sources: Mapping[str, int] = field(default_factory=dict)
    products: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def format_of(file: Path, given: str | None = None) -> str:
    """``given``, or what the file's name says.

    Raises:
      InputError: neither says anything.
    """
    format_name = given or FORMATS.get(Path(file.name.removesuffix(".gz")).suffix.lower())
    if format_name is None or format_name not in FORMATS.values():
        expected = f"expected a name that ends in {', '.join(FORMATS)}, or --format"
        raise InputError(Problem(str(file), expected))
    return format_name


def export_labels(
    store: Store, file: Path, kind: str, *, full: bool = False, batch: str | None = None, all_rows: bool = True
) -> int:
    """Writes labels; the file appears when it is complete.

    Args:
      kind: ``jsonl``, ``csv`` or ``label-studio`` (tasks with predictions, and the answers that stand as annotations).
      full: with the model's suggestion, seconds and note.
      batch: only this one's labels, or tasks.
      all_rows: the whole log, retracted and overwritten answers included; else the answers that stand.

    Returns:
      The number of rows, or tasks.

    Raises:
      InputError: the file cannot be written, or there is no such batch.
    """
    with store.read() as connection:
        tree = status.newest_taxonomy(connection)
        kinds = status.kinds(connection)
        if batch is not None and not status.queues(connection, batch):
            raise InputError(Problem("", "there is no such batch in the label store", key="--batch", value=batch))
        if kind == "label-studio":
            return written(file, _json_list(label_studio.tasks(connection, tree, kinds, batch)))
        columns = (*COLUMNS, *MORE) if full else COLUMNS
        label_rows: Iterable[Any] = rows.read(connection)
        if not all_rows:
            label_rows = rows.standing(label_rows, multi_label_names(kinds))
        lines = (_row(row, columns, tree) for row in label_rows if batch in (None, row.batch))
        if kind == "csv":
            return written(file, _csv_lines(lines, columns), -1)
        return written(file, (orjson.dumps(line) + b"\n" for line in lines))


def import_labels(
    store: Store,
    files: Iterable[Path],
    kind: str | None = None,
    *,
    taxonomy: Taxonomy | None = None,
    objectives: Mapping[str, str] | None = None,
    people: Mapping[str, str] | None = None,
    now: int,
) -> ImportedLabels:
    """Adds the labels in files; all of them, or none if anything is wrong.

    Args:
      taxonomy, objectives: what the rows must fit; default: what the store knows.
      people: Label Studio user (id or e-mail) to annotator.

    Raises:
      InputError: every mistake, with file and line, or that nothing says which categories there are.
    """
    with store.read() as connection:
        taxonomy = taxonomy or status.newest_taxonomy(connection)
        objectives = objectives or status.kinds(connection)
    if taxonomy is None or not objectives:
        hint = "name the workflow (--workflow FILE), or import a batch first"
        raise InputError(Problem(store.name, "the label store knows no taxonomy yet", hint=hint))
    assumed = Assumed()
    parts = [
        checked(
            str(file), _given(file, format_of(file, kind), objectives, people or {}, assumed), taxonomy, objectives,
            now, assumed,
        )
        for file in files
    ]  # fmt: skip
    with store.write() as connection:
        from labelling.store import importing

        importing.objectives(connection, objectives)
        if status.newest_taxonomy(connection) is None:
            importing.taxonomy(connection, taxonomy, now)
        dated = _as_known(connection, [label for part in parts for label in part.dated])
        undated = _as_known(connection, [label for part in parts for label in part.undated])
        said_again, fresh = _said_again(connection, undated, objectives)
        new_labels = [*dated, *fresh]
        added, known = rows.append(connection, new_labels)
        _settle(connection, new_labels, objectives)
    every = [*dated, *undated]
    return ImportedLabels(
        added, known + said_again, Counter(label.source for label in every),
        frozenset(label.product_id for label in every), tuple(assumed.sentences()),
    )  # fmt: skip


def _as_known(connection: Connection, new: list[rows.Label]) -> list[rows.Label]:
    """The labels with the ids that a spreadsheet made numbers of (``42.0``) as they were.

    An id that the store knows in this spelling stays as it is.
    """
    spelt = {label.product_id for label in new if other_spelling(label.product_id).isdigit()}
    changed = {name: other_spelling(name) for name in spelt if not is_known(connection, name)}
    return [replace(label, product_id=changed.get(label.product_id, label.product_id)) for label in new]


def _said_again(
    connection: Connection, undated: list[rows.Label], kinds: Mapping[str, str]
) -> tuple[int, list[rows.Label]]:
    """How many labels without a time say what stands already, and the others.

    A file without times that is imported again would else add all of its rows once more.
    """
    several = set(multi_label_names(kinds))

    def key(label: Any) -> tuple[str | None, ...]:
        about = label.category if label.objective in several else None
        return label.product_id, label.objective, label.annotator, about

    standing = rows.standing_of(connection, (label.product_id for label in undated), kinds, models=True)
    stands = {key(row): (row.category, row.value) for theirs in standing.values() for row in theirs}
    fresh = [label for label in undated if stands.get(key(label)) != (label.category, label.value)]
    return len(undated) - len(fresh), fresh


def _settle(connection: Connection, new: Iterable[rows.Label], kinds: Mapping[str, str]) -> None:
    """What the queue asked and the import answers is asked no more."""
    opened = set(connection.execute(select(items.c.product_id).where(items.c.state == "open")).scalars())
    for row in new:
        if row.product_id not in opened or row.value in ("skip", "retracted") or row.source == MODEL:
            # What a model says is no answer to what people are asked.
            continue
        category = kind_named(kinds[row.objective]).asked_category(row.category)
        item = queue.open_item_of(connection, row.product_id, row.objective, category)
        if item is not None:
            same = (labels.c.product_id == row.product_id, labels.c.annotator == row.annotator)
            label = connection.scalar(select(labels.c.id).where(*same, labels.c.time == row.time).limit(1))
            queue.answered(connection, item.id, row.annotator, int(label or 0), row.value)


def _given(
    file: Path, kind: str, objectives: Mapping[str, str], people: Mapping[str, str], assumed: Assumed
) -> Iterator[Given]:
    if kind == "label-studio" or (kind == "csv" and label_studio_exports.is_table(file)):
        yield from label_studio_exports.read_annotations(file, people, objectives, assumed)
    elif kind == "csv":
        yield from (Given(line, row) for line, row in table_rows(str(file), lines_of(file), assumed))
    else:
        yield from json_lines(file)


def _row(row: Any, columns: Iterable[str], tree: Taxonomy | None) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in columns}
    values["time"] = rows.time_text(row.time)
    for name in ("category", "suggestion"):
        if tree is not None and values.get(name) in tree:
            values[name] = tree[values[name]].text
    return values


def guarded(cell: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{cell}" if _RISKY.match(cell) else cell


def _csv_lines(lines: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> Iterator[bytes]:
    import io

    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")

    def line(cells: Iterable[Any]) -> bytes:
        writer.writerow(
            ["" if cell is None else guarded(cell) if isinstance(cell, str) else repr(cell) for cell in cells]
        )
        text = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return text.encode("utf-8")

    names = list(columns)
    yield line(names)
    for row in lines:
        yield line(row[name] for name in names)


def _json_list(values: Iterable[Any]) -> Iterator[bytes]:
    first = True
    for value in values:
        yield (b"[\n" if first else b",\n") + orjson.dumps(value)
        first = False
    yield b"[]\n" if first else b"\n]\n"


def written(file: Path, lines: Iterable[bytes], extra: int | None = None) -> int:
    """Writes lines; returns how many rows they are."""
    count = 0
    try:
        handle, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}-")
    except OSError as error:
        raise InputError(Problem(str(file), f"cannot be written: {error.strerror}")) from None
    try:
        with os.fdopen(handle, "wb") as stream:
            for line in lines:
                stream.write(line)
                count += line not in (b"[]\n", b"\n]\n")
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count + (extra or 0)
