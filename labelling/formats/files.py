"""Exporting the store's labels to a file, and importing files into it."""

from __future__ import annotations

import csv
import math
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, select

from labelling.formats import label_studio
from labelling.formats.checked import Given, checked, json_lines, lines_of
from labelling.store import Store, queue, rows, status
from labelling.store.tables import items, labels
from modules.errors import InputError, Problem
from modules.objectives import kind_named, multi_label_names
from modules.taxonomy import Taxonomy

FORMATS = {".jsonl": "jsonl", ".csv": "csv", ".json": "label-studio"}
COLUMNS = (
    "product_id", "objective", "category", "value", "annotator", "time", "batch", "source", "inclusion_probability",
)  # fmt: skip
"""What a label file has; the rest is only in a full export."""
MORE = ("suggestion", "suggestion_probability", "model", "seconds", "note")

_NUMBERS = ("inclusion_probability", "suggestion_probability", "seconds")
_RISKY = re.compile(r"[\s\x00]*[=+\-@＝＋－＠']|[\t\r\n]")
"""A cell that a spreadsheet may run as a formula (OWASP, CSV injection), or that begins with the mark against that."""


@dataclass(frozen=True)
class ImportedLabels:
    """Rows added, and those that the store had already."""

    added: int
    known: int


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
    new_labels: list[rows.Label] = []
    for file in files:
        new_labels += checked(
            str(file), _given(file, format_of(file, kind), taxonomy, people or {}), taxonomy, objectives
        )
    with store.write() as connection:
        from labelling.store import importing

        importing.objectives(connection, objectives)
        if status.newest_taxonomy(connection) is None:
            importing.taxonomy(connection, taxonomy, now)
        added, known = rows.append(connection, new_labels)
        _settle(connection, new_labels, objectives)
    return ImportedLabels(added, known)


def _settle(connection: Connection, new: Iterable[rows.Label], kinds: Mapping[str, str]) -> None:
    """What the queue asked and the import answers is asked no more."""
    opened = set(connection.execute(select(items.c.product_id).where(items.c.state == "open")).scalars())
    for row in new:
        if row.product_id not in opened or row.value in ("skip", "retracted"):
            continue
        category = kind_named(kinds[row.objective]).asked_category(row.category)
        item = queue.open_item_of(connection, row.product_id, row.objective, category)
        if item is not None:
            same = (labels.c.product_id == row.product_id, labels.c.annotator == row.annotator)
            label = connection.scalar(select(labels.c.id).where(*same, labels.c.time == row.time).limit(1))
            queue.answered(connection, item.id, row.annotator, int(label or 0), row.value)


def _given(file: Path, kind: str, taxonomy: Taxonomy, people: Mapping[str, str]) -> Iterator[Given]:
    if kind == "label-studio":
        yield from label_studio.read_annotations(file, people)
    elif kind == "csv":
        yield from _csv_rows(file)
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


def _csv_rows(file: Path) -> Iterator[Given]:
    header: list[str] = []
    reader = csv.reader(_texts(file), strict=True)
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [name.strip() for name in cells]
                unknown = [name for name in header if name not in (*COLUMNS, *MORE)]
                if unknown or len(set(header)) < len(header):
                    expected = f"expected a header of different names out of {', '.join((*COLUMNS, *MORE))}"
                    raise InputError(Problem(str(file), expected, reader.line_num, value=", ".join(unknown or header)))
                continue
            if len(cells) != len(header):
                expected = f"expected {len(header)} columns as in the header, not {len(cells)}"
                raise InputError(Problem(str(file), expected, reader.line_num))
            yield Given(reader.line_num, {n: _cell(n, cell) for n, cell in zip(header, cells, strict=True)})
    except csv.Error as error:
        raise InputError(Problem(str(file), f"cannot be read as CSV: {error}", reader.line_num)) from None


def _texts(file: Path) -> Iterator[str]:
    for number, line in lines_of(file):
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise InputError(Problem(str(file), "not UTF-8", number)) from None


def _cell(name: str, cell: str) -> Any:
    if not cell:
        return None
    if name in _NUMBERS:
        try:
            number = float(cell)
        except ValueError:
            return cell
        # JSON has no such number, and would have null in its place.
        return number if math.isfinite(number) else cell
    return cell[1:] if cell.startswith("'") else cell


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
