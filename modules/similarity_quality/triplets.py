"""People's verdicts on triplets: which of two products, A and B, is more like a third one, the query.

After Wang, Song, Leung, Rosenberg, Wang, Philbin, Chen and Wu (2014), "Learning Fine-grained Image Similarity with Deep
Ranking", CVPR, section 6.1: a person says A, B, both or neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from modules.errors import InputError, Problem, Problems, reason
from modules.taxonomy.documents import did_you_mean

A, B, BOTH, NEITHER = "a", "b", "both", "neither"
VERDICTS = (A, B, BOTH, NEITHER)
"""A is more like the query, B is; both are like it; neither is."""

MAX_TEXT = 1000
MAX_LINE = 64 << 10
_OTHER_SIDE = {A: B, B: A, BOTH: BOTH, NEITHER: NEITHER}
_IDS = ("query", "a", "b")
_KEYS = (*_IDS, "verdict", "annotator", "time", "methods")


@dataclass(frozen=True)
class Question:
    """Three products to judge.

    Attributes:
      query, a, b: ids of three different products.
      methods: what proposed A and B, for the record; empty: not known.
    """

    query: str
    a: str
    b: str
    methods: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """The same whichever side A and B are on."""
        return (self.query, *sorted((self.a, self.b)))  # type: ignore[return-value]


@dataclass(frozen=True)
class Triplet:
    """One verdict.

    Attributes:
      query, a, b: ids of three different products.
      verdict: one of :data:`VERDICTS`.
      annotator: who gave it.
      time: microseconds since 1970 (UTC).
      methods: what proposed A and B; empty: not known.
    """

    query: str
    a: str
    b: str
    verdict: str
    annotator: str
    time: int
    methods: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """The same whichever side A and B are on."""
        return (self.query, *sorted((self.a, self.b)))  # type: ignore[return-value]

    def turned(self) -> Triplet:
        """With A and B in the order of their ids."""
        if self.a <= self.b:
            return self
        verdict = _OTHER_SIDE[self.verdict]
        return Triplet(self.query, self.b, self.a, verdict, self.annotator, self.time, self.methods)


def problems_of(row: Mapping[str, Any], keys: Sequence[str] = _KEYS) -> list[Problem]:
    """What is wrong with a triplet's fields; the problems name no file."""
    problems = [
        Problem("", "unknown key", key=str(key), hint=did_you_mean(str(key), keys)) for key in row if key not in keys
    ]
    for name in (*_IDS, "annotator"):
        if name in keys and not _is_text(row.get(name)):
            expected = f"expected a text of 1 to {MAX_TEXT} characters, none of them NUL"
            problems.append(Problem("", expected, key=name, value=_shown(row.get(name))))
    if not problems and len({row[name] for name in _IDS}) < 3:
        problems.append(Problem("", "expected three different products as query, a and b", key="b", value=row["b"]))
    if "verdict" in keys and row.get("verdict") not in VERDICTS:
        expected = f"expected one of {', '.join(VERDICTS)}"
        problems.append(Problem("", expected, key="verdict", value=_shown(row.get("verdict"))))
    methods = row.get("methods", [])
    if not isinstance(methods, list | tuple) or len(methods) > 2 or not all(_is_text(method) for method in methods):
        problems.append(Problem("", "expected at most two texts, A's and B's", key="methods", value=_shown(methods)))
    return problems


def read_triplets(paths: Iterable[str | Path] | str | Path) -> list[Triplet]:
    """Reads JSON Lines, one verdict a line: ``query``, ``a``, ``b`` (ids), ``verdict``, ``annotator``, ``time`` (ISO
    8601; UTC where it has no offset), and ``methods``, if known.

    Raises:
      InputError: what is wrong with the rows, each mistake with file and line.
    """
    triplets: list[Triplet] = []
    problems = Problems()
    for path in [paths] if isinstance(paths, str | Path) else paths:
        for number, row in _rows(Path(path), problems):
            wrong = problems_of(row)
            time = _microseconds(row.get("time"))
            if time is None:
                expected = "expected an ISO 8601 time, like 2026-03-01T09:30:00Z"
                wrong.append(Problem("", expected, key="time", value=_shown(row.get("time"))))
            for p in wrong:
                problems.add(Problem(str(path), p.expected, number, p.key, p.value, p.hint))
            if not wrong and time is not None:
                query, a, b = (row[name] for name in _IDS)
                methods = tuple(row.get("methods") or ())
                triplets.append(Triplet(query, a, b, row["verdict"], row["annotator"], time, methods))
    if problems:
        raise InputError(problems)
    return triplets


def read_questions(path: str | Path) -> list[Question]:
    """Reads JSON Lines of ``query``, ``a``, ``b`` and, if known, ``methods``.

    Raises:
      InputError: as :func:`read_triplets` does.
    """
    questions: list[Question] = []
    problems = Problems()
    for number, row in _rows(Path(path), problems):
        wrong = problems_of(row, (*_IDS, "methods"))
        for p in wrong:
            problems.add(Problem(str(path), p.expected, number, p.key, p.value, p.hint))
        if not wrong:
            questions.append(Question(row["query"], row["a"], row["b"], tuple(row.get("methods") or ())))
    if problems:
        raise InputError(problems)
    return questions


def line_of(judged: Triplet | Question) -> bytes:
    """As :func:`read_triplets` or :func:`read_questions` reads it, line end included."""
    row: dict[str, Any] = {"query": judged.query, "a": judged.a, "b": judged.b}
    if isinstance(judged, Triplet):
        seconds, rest = divmod(judged.time, 1_000_000)
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
        time = moment.isoformat().replace("+00:00", "Z")
        row |= {"verdict": judged.verdict, "annotator": judged.annotator, "time": time}
    if judged.methods:
        row["methods"] = list(judged.methods)
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def standing(triplets: Iterable[Triplet]) -> list[Triplet]:
    """The verdicts that count: each annotator's newest about a query and two products, of equal times the later one.

    A and B come in the order of their ids, so that verdicts on the same three stand side by side; in the order of the
    first verdict on each.
    """
    newest: dict[tuple[str, ...], Triplet] = {}
    for triplet in triplets:
        key = (*triplet.key, triplet.annotator)
        if key not in newest or triplet.time >= newest[key].time:
            newest[key] = triplet.turned()
    return list(newest.values())


@dataclass(frozen=True)
class Ranked:
    """What people agree on: ``better`` is more like the query than ``worse``."""

    query: str
    better: str
    worse: str


def agreed(triplets: Iterable[Triplet]) -> list[Ranked]:
    """Triplets that all annotators who judged them ranked alike, as Wang et al. keep them; both and neither rank
    nothing, and contradict a ranking."""
    verdicts: dict[tuple[str, str, str], set[str]] = {}
    for triplet in standing(triplets):
        verdicts.setdefault(triplet.key, set()).add(triplet.verdict)
    ranked = []
    for (query, a, b), given in verdicts.items():
        if given == {A}:
            ranked.append(Ranked(query, a, b))
        elif given == {B}:
            ranked.append(Ranked(query, b, a))
    return ranked


def _rows(path: Path, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered objects; what is none becomes a problem."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    problems.add(Problem(str(path), f"expected a line of at most {MAX_LINE >> 10} KiB", number))
                    return
                if line.isspace():
                    continue
                try:
                    row = orjson.loads(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
                except orjson.JSONDecodeError as error:
                    problems.add(Problem(str(path), f"not JSON: {error}", number))
                    continue
                if isinstance(row, dict):
                    yield number, row
                else:
                    problems.add(Problem(str(path), "expected an object with 'query', 'a', 'b' and so on", number))
    except OSError as error:
        problems.add(Problem(str(path), f"cannot be read: {reason(error)}"))


def _is_text(value: Any) -> bool:
    """Also that a database takes it: no lone surrogate, no NUL."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or "\0" in value:
        return False
    return not any("\ud800" <= c <= "\udfff" for c in value)


def _shown(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return repr(value) if not isinstance(value, float) or math.isfinite(value) else str(value)


def _microseconds(value: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(value)
        # In UTC, as it is written: a time at the end of the calendar may lie beyond it there.
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds
