"""Reading an experiment's recipe: its settings, and the workflow of each arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.errors import InputError, Problem
from modules.settings.recipe import Recipe
from pipeline.settings_errors import validate_data
from pipeline.workflow_file import Changes, LoadedWorkflow, load_workflow, read_text
from pipeline.yaml_tree import KeyPath, YamlTree, read_tree


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe with the workflows that it compares.

    Attributes:
      path: the file, as it was named. arms: name of each arm to its workflow.
    """

    recipe: Recipe
    path: Path
    arms: Mapping[str, LoadedWorkflow]


def load_recipe(path: Path, workflow: Path | None = None, feed: Path | None = None) -> LoadedRecipe:
    """Reads a recipe and the workflow that it names.

    Args:
      workflow: the workflow file, in place of the recipe's.
      feed: the feed's folder, in place of the recipe's and the workflow's.

    Raises:
      InputError: with every mistake of the recipe, or of the workflows that it makes, each with file and line.
    """
    tree = read_tree(read_text(path), str(path))
    data = tree.data if tree.data is not None else {}
    if not isinstance(data, dict):
        raise InputError(Problem(str(path), "expected a mapping of settings (description: ..., arms: ...)", line=1))
    recipe, problems = validate_data(data, lambda key: (str(path), tree.line_of(key)), Recipe)
    if recipe is None or tree.problems or problems:
        raise InputError([*tree.problems, *problems])
    if workflow is None:
        if recipe.workflow is None:
            hint = "name one with --workflow FILE"
            raise InputError(
                Problem(str(path), "expected a workflow: the recipe names none", key="workflow", hint=hint)
            )
        workflow = path.parent / recipe.workflow
    if feed is None and recipe.feed is not None:
        feed = path.parent / recipe.feed
    common = _changes(path, tree, recipe.changes, ("changes",))
    arms, wrong = {}, dict[Problem, None]()
    for name, arm in recipe.arms.items():
        own = _changes(path, tree, arm.changes, ("arms", name, "changes"))
        try:
            arms[name] = load_workflow(workflow, feed_folder=feed, changes=(common, own))
        except InputError as error:
            wrong |= dict.fromkeys(error.problems)
    if wrong:
        raise InputError(wrong)
    return LoadedRecipe(recipe, path, arms)


def _changes(path: Path, tree: YamlTree, data: Mapping[str, Any], above: KeyPath) -> Changes:
    return Changes(data, lambda key: (str(path), tree.line_of((*above, *key))))
