"""The store's labels and open queues as files: what a run learns from."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
from sqlalchemy import Connection, Row, select

from labelling.store import rows
from labelling.store.database import Store
from labelling.store.tables import batches, items
from modules.labels.model import MODEL

LABELS, QUEUED = "labels.jsonl", "queued.jsonl"


@dataclass(frozen=True)
class Snapshot:
    """A folder with ``labels.jsonl`` and ``queued.jsonl``, and how many rows they have.

    ``models``: how many of the label rows are what models said.
    """

    folder: Path
    labels: int
    queued: int
    models: int = 0

    @property
    def labels_file(self) -> Path:
        """One row per answer, as :func:`modules.labels.read_labels` reads them; the oldest first."""
        return self.folder / LABELS

    @property
    def queued_file(self) -> Path:
        """One row per open item: ``product_id``, ``objective``, ``category`` (of a yes/no question, else null),
        ``batch``, ``state`` (``open``: nobody has it; ``answered``: somebody has answered, but more answers are
        wanted)."""
        return self.folder / QUEUED


def write_snapshot(store: Store, folder: Path, objectives: Collection[str] | None = None) -> Snapshot:
    """Writes the snapshot: the same state of the store gives the same bytes. Files that are there are replaced.

    Args:
      folder: made where missing.
      objectives: only these; None: all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with store.read() as connection:
        labels = _write(folder / LABELS, map(label_row, rows.read(connection, objectives)))
        models = sum(
            tuple(row)[3] for row in rows.counts(connection)
            if row.source == MODEL and (objectives is None or row.objective in objectives)
        )  # fmt: skip
        queued = _write(folder / QUEUED, _queued(connection, objectives))
    return Snapshot(folder, labels, queued, models)


def take_snapshot(store: Store, parent: Path, objectives: Collection[str] | None = None) -> Snapshot:
    """Writes a snapshot into a folder of ``parent`` that is named after its labels.

    The same labels lie under the same path, so that a run which is started again, with no label more, takes its
    examples from the cache; what is queued may have changed meanwhile.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=".new-") as fresh:
        fresh_snapshot = write_snapshot(store, Path(fresh), objectives)
        with fresh_snapshot.labels_file.open("rb") as stream:
            name = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
        folder = parent / name
        folder.mkdir(exist_ok=True)
        for file in (fresh_snapshot.labels_file, fresh_snapshot.queued_file):
            file.replace(folder / file.name)
    return Snapshot(folder, fresh_snapshot.labels, fresh_snapshot.queued, fresh_snapshot.models)


def label_row(row: Row[Any]) -> dict[str, Any]:
    """A row of the log as it stands in a label file."""
    return {
        "product_id": row.product_id,
        "objective": row.objective,
        "category": row.category,
        "value": row.value,
        "annotator": row.annotator,
        "time": rows.time_text(row.time),
        "batch": row.batch,
        "source": row.source,
        "inclusion_probability": row.inclusion_probability,
    }


def _queued(connection: Connection, objectives: Collection[str] | None) -> Iterable[dict[str, Any]]:
    from labelling.store.tables import answers

    some = select(answers.c.item).where(answers.c.item == items.c.id, answers.c.value != "skip").exists()
    query = select(items.c.product_id, items.c.objective, items.c.category, batches.c.id.label("batch"), some)
    query = query.join(batches).where(items.c.state == "open", batches.c.state == "open", batches.c.kind == "batch")
    if objectives is not None:
        query = query.where(items.c.objective.in_(sorted(objectives)))
    query = query.order_by(items.c.objective, items.c.product_id, items.c.category, batches.c.id)
    for product, objective, category, batch, answered in connection.execute(query):
        yield {
            "product_id": product,
            "objective": objective,
            "category": category or None,
            "batch": batch,
            "state": "answered" if answered else "open",
        }


def _write(file: Path, lines: Iterable[dict[str, Any]]) -> int:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    count = 0
    try:
        stream: IO[bytes]
        with os.fdopen(handle, "wb") as stream:
            for line in lines:
                stream.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
                count += 1
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count
