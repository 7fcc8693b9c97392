"""What people's answers about the categories of an old taxonomy say in a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from modules.taxonomy.mapping import Moves

State = Literal["same", "moved", "open", "dropped"]


class Said(NamedTuple):
    """An answer: one of :data:`modules.labels.VALUES`, and a category's id where it has one."""

    value: str
    category: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """How an answer reads in the new taxonomy.

    Attributes:
      state: ``same``; ``moved``: it says the same of another category; ``open``: its category was split, or is no
        answer of the objective any more, so that somebody has to answer again; ``dropped``: it says nothing any more.
      said: what stands in its place. Of an objective with one category per product always one answer, which withdraws
        the annotator's earlier ones where nothing else is left of it; of another any number.
      choices: of an open one, the ids of the categories that the answer may be.
    """

    state: State
    said: tuple[Said, ...]
    choices: tuple[str, ...] = ()


_WITHDRAWN = Said("retracted", None)


def readings(
    answers: Sequence[Said], moves: Moves, single_label: bool, decided: Mapping[str, str] | None = None
) -> list[Reading]:
    """One reading for each answer of an annotator about a product, the oldest answer first.

    A yes follows its category; where that was split it is open. All that is in a category that several were merged
    into was in one of these, so a no to the new one follows from a no to all of them alone. A no to a category that
    was split is a no to each part that got nothing else.

    Args:
      single_label: whether the objective has one category per product, of the exclusive ones.
      decided: of a split category's id, the part that this product is in.
    """
    if single_label:
        return [_of_single_label(answer, moves, decided or {}) for answer in answers]
    return _of_multi_label(answers, moves, decided or {})


def _of_single_label(answer: Said, moves: Moves, decided: Mapping[str, str]) -> Reading:
    value, category = answer
    if category is None:
        return Reading("same", (answer,))
    targets = _targets(answer, moves, decided)
    possible = tuple(target for target in targets if moves.new[target].exclusive)
    same_exclusive = len(possible) == len(targets) == 1
    if value not in ("yes", "no"):
        state: State = "same" if moves.unchanged(category) and same_exclusive else "moved"
        return Reading(state, (Said(value, possible[0] if same_exclusive else None),))
    if same_exclusive and (value == "yes" or moves.unchanged(category) or moves.sources[possible[0]] == (category,)):
        state = "same" if possible[0] == category else "moved"
        return Reading(state, (Said(value, possible[0]),))
    if value == "yes" and moves.of(category):
        return Reading("open", (_WITHDRAWN,), possible or _below(category, moves))
    return Reading("dropped", (_WITHDRAWN,))


def _below(category: str, moves: Moves) -> tuple[str, ...]:
    """The exclusive categories below the targets of one that are not exclusive themselves."""
    below = (c for target in moves.of(category) for c in moves.new.descendants(target) if c.exclusive)
    return tuple(dict.fromkeys(c.id for c in below))


def _targets(answer: Said, moves: Moves, decided: Mapping[str, str]) -> tuple[str, ...]:
    category = answer.category or ""
    return (decided[category],) if answer.value == "yes" and category in decided else moves.of(category)


def _of_multi_label(answers: Sequence[Said], moves: Moves, decided: Mapping[str, str]) -> list[Reading]:
    newest = {answer.category: number for number, answer in enumerate(answers)}
    denied = {
        answer.category for n, answer in enumerate(answers) if answer.value == "no" and newest[answer.category] == n
    }
    result = []
    for number, (value, category) in enumerate(answers):
        if category is None or moves.unchanged(category):
            result.append(Reading("same", (Said(value, category),)))
            continue
        targets = _targets(answers[number], moves, decided)
        alone = len(targets) == 1 and moves.sources[targets[0]] == (category,)
        if alone or (value == "yes" and len(targets) == 1 and newest[category] == number):
            state: State = "same" if targets[0] == category else "moved"
            result.append(Reading(state, (Said(value, targets[0]),)))
        elif value == "yes" and len(targets) > 1 and newest[category] == number:
            result.append(Reading("open", _above_all(targets, moves), targets))
        elif value == "no" and newest[category] == number:
            denied_now = [t for t in moves.of(category) if set(moves.sources[t]) <= denied]
            result.append(Reading("moved" if denied_now else "dropped", tuple(Said("no", t) for t in denied_now)))
        else:
            # What was taken back later, or takes back what does not stand any more.
            result.append(Reading("dropped", ()))
    return result


def _above_all(targets: Sequence[str], moves: Moves) -> tuple[Said, ...]:
    """A yes to the nearest category that all targets are in, if there is one."""
    paths = [moves.new[target].path for target in targets]
    depth = 0
    while all(len(path) > depth and path[depth] == paths[0][depth] for path in paths):
        depth += 1
    return (Said("yes", moves.new.find(paths[0][:depth]).id),) if depth else ()
