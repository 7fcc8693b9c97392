"""Workflow files of older versions: what no longer fits, and the same workflow in today's shape.

A step is one file of this folder and one line of :data:`STEPS`, in the order of the versions that made the steps
necessary. A step is never changed later: it knows by itself which keys there were before and after it, and asks no
settings class. It runs on what the steps before it have left, and yields nothing for a workflow of its newer shape.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from modules.errors import InputError, Problem
from modules.taxonomy.documents import dotted
from pipeline.migrations import demo_folder, kinds_of_settings
from pipeline.migrations.base import Change, Decision, Step
from pipeline.migrations.text import edited
from pipeline.yaml_tree import YamlTree, read_tree

STEPS: Sequence[Step] = (kinds_of_settings.step, demo_folder.step)


@dataclass(frozen=True)
class Migration:
    """What has to be changed in a workflow file.

    Attributes:
      text: of the file, in today's shape as far as there is nothing to decide.
      changes: each change, at its line of the text that the step before it left.
      decisions: what a person must decide, with what to write.
    """

    text: str
    changes: Sequence[Problem] = ()
    decisions: Sequence[Problem] = ()


def migrate_text(text: str, file: str) -> Migration:
    """Brings the text of a workflow file to today's shape.

    Args:
      text: of a file of any version; one that cannot be read as settings comes back as it is.
      file: the file's path, for messages. Steps look beside it for what older versions wrote there.
    """
    changes: list[Problem] = []
    decisions: list[Problem] = []
    for step in STEPS:
        try:
            tree = read_tree(text, file)
        except InputError:
            break
        if tree.problems or not isinstance(tree.data, dict):
            break
        results = list(step(tree.data, file))
        wanted = [result for result in results if not isinstance(result, Decision)]
        decisions += [_decision(result, file, tree) for result in results if isinstance(result, Decision)]
        new = edited(text, tree.data, wanted)
        if new is None:
            decisions += [_by_hand(change, file, tree) for change in wanted]
            break
        text = new
        changes += [_place(change, file, tree, str(change)) for change in wanted]
    return Migration(text, changes, decisions)


def with_command(problems: Sequence[Problem], text: str, file: str) -> list[Problem]:
    """The problems of a workflow file, of which those that ``shelfmark migrate`` mends name it."""
    migration = migrate_text(text, file)
    keys = [change.key for change in (*migration.changes, *migration.decisions)]
    hint = f"`shelfmark migrate {shlex.quote(file)}` shows the workflow in today's shape"
    return [
        replace(problem, hint="; ".join(filter(None, (problem.hint, hint))))
        if problem.file == file and any(f"{key}.".startswith(f"{problem.key}.") for key in keys)
        else problem
        for problem in problems
    ]


def _place(result: Change | Decision, file: str, tree: YamlTree, expected: str, hint: str = "") -> Problem:
    return Problem(file, expected, line=tree.line_of(result.path), key=dotted(result.path), hint=hint)


def _decision(decision: Decision, file: str, tree: YamlTree) -> Problem:
    return _place(decision, file, tree, decision.why, f"write {decision.write}")


def _by_hand(change: Change, file: str, tree: YamlTree) -> Problem:
    """A change that cannot be made in the text, as where another key refers to the value by an alias."""
    hint = "write it so by hand; values that an alias (*name) stands for must be written out first"
    return _place(change, file, tree, f"to be {change}", hint)
