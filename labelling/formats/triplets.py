"""Verdicts on triplets to a file, and triplets to ask about from one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from labelling.formats.files import written
from labelling.store import Store
from labelling.store.triplets import WANTED, add_questions, read_triplets
from modules.similarity_quality.triplets import line_of, read_questions, standing


def export_triplets(store: Store, file: Path, *, all_rows: bool = True) -> int:
    """Writes verdicts as JSON Lines, as :func:`modules.similarity_quality.triplets.read_triplets` reads them.

    Args:
      all_rows: the whole log; else each annotator's newest verdict on a triplet, A and B in the order of their ids.

    Returns:
      How many.

    Raises:
      InputError: the file cannot be written.
    """
    with store.read() as connection:
        verdicts = read_triplets(connection)
        return written(file, map(line_of, verdicts if all_rows else standing(verdicts)))


def import_questions(store: Store, files: Iterable[Path], now: int, wanted: int = WANTED) -> int:
    """Queues the triplets of JSON Lines files; all of them, or none if anything is wrong. Returns how many were new.

    Raises:
      InputError: every mistake, with file and line.
    """
    questions = [question for file in files for question in read_questions(file)]
    with store.write() as connection:
        return add_questions(connection, questions, now, wanted)
