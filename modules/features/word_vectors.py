"""Files of word vectors in the text form of word2vec, GloVe and fastText: a word and its numbers per line."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from modules import progress
from modules.counting import counted
from modules.errors import InputError, Problem, reason
from modules.feeds.opening import UNREADABLE, open_plain

if TYPE_CHECKING:
    import numpy as np

    from modules.arrays import FloatArray

_log = logging.getLogger(__name__)

LONGEST = 1 << 20
"""Bytes of a line; 4,096 numbers in full take about 100,000."""
_REPORTED = 100_000
"""Lines from one report of progress to the next."""
_FORM = (
    "a word and its numbers in each line, separated by spaces, as the text files of word2vec, GloVe and fastText are"
)


def check_word_vectors(path: str, width: int | None) -> None:
    """Looks at the file's first vector.

    Args:
      width: how many numbers it has to have; None: any number of them.

    Raises:
      InputError: the file cannot be read, or has no vector of this width there.
    """
    with_numbers = next(_lines(path), None)
    if with_numbers is None:
        raise InputError(Problem(path, f"expected {_FORM}; it is empty"))
    number, line = with_numbers
    _vector(path, number, line, len(line.split()) - 1 if width is None else width)


def read_word_vectors(path: str, words: Sequence[str], width: int | None, seed: int) -> FloatArray:
    """The vectors of a vocabulary's words, of a file of any size; compressed by gzip, zstd or zip, too.

    Words of the vocabulary are in lower case. A word that the file only has in other case gets the first of these
    vectors, one that it lacks a small random one; the log says how many there are.

    Args:
      width: how many numbers a vector has; None: as many as the file's first one.

    Returns:
      float32 (words, width).

    Raises:
      InputError: the file cannot be read, a vector is not ``width`` finite numbers long, or no word is in it.
    """
    import numpy as np

    index = {word.encode(): row for row, word in enumerate(words)}
    exact: set[int] = set()
    vectors: dict[int, np.ndarray] = {}
    for count, (number, line) in enumerate(_lines(path), 1):
        if width is None:
            width = len(line.split()) - 1
        word = line.split(None, 1)[0]
        same = index.get(word)
        row = index.get(word.decode(errors="replace").lower().encode()) if same is None else same
        if row is not None and row not in exact and (same is not None or row not in vectors):
            vector = _vector(path, number, line, width)
            if vector is not None:
                vectors[row] = vector
                exact.update(() if same is None else (row,))
        if count % _REPORTED == 0:
            progress.report(count, 0, f"word vectors of {path}")
    if not vectors or width is None:
        expected = f"expected {_FORM}; it has none of the vocabulary, which is {counted(len(words), 'word')}"
        raise InputError(Problem(path, expected))
    _log.info("%s has vectors of %s of %s", path, f"{len(vectors):,}", counted(len(words), "word"))
    table = np.random.default_rng(seed).normal(0.0, 0.05, (len(words), width)).astype(np.float32)
    table[list(vectors)] = np.stack(list(vectors.values()))
    return table


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line with a vector: without empty ones, and the first one where that tells sizes."""
    try:
        with open_plain(path) as stream:
            number = 0
            while line := stream.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise InputError(Problem(path, f"expected {_FORM}; this line has over {LONGEST:,} bytes", number))
                fields = line.split(None, 2)
                if fields and not (number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields)):
                    yield number, line
    except UNREADABLE as error:
        raise InputError(Problem(path, f"cannot be read: {reason(error)}")) from None


def _vector(path: str, number: int, line: bytes, width: int) -> np.ndarray | None:
    """The line's numbers, float32 (width,); None where the word is several, as some in GloVe's files are.

    Raises:
      InputError: it has not ``width`` numbers.
    """
    import numpy as np

    word, *numbers = line.split()
    try:
        vector = np.array(numbers, dtype=np.float32)
    except ValueError:
        if len(numbers) > width and not _is_number(numbers[0]):
            return None
        vector = np.zeros(0, np.float32)
    if width < 1 or vector.shape != (width,) or not np.isfinite(vector).all():
        expected = (
            f"expected {max(width, 1)} finite numbers behind the word, as the feature's width or the first line says"
        )
        text = b" ".join(numbers).decode(errors="replace")
        raise InputError(Problem(path, expected, number, word.decode(errors="replace"), text))
    return vector


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
