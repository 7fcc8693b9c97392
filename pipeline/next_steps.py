"""What a person may do after a run, as commands."""

from __future__ import annotations

import shlex

from modules.predictions.read import PredictionFiles
from pipeline.report import attempt
from pipeline.runs import PUBLISHED, Run
from pipeline.workflow_file import LoadedWorkflow


def next_steps(loaded: LoadedWorkflow, run: Run) -> list[tuple[str, str]]:
    """Commands, as a shell takes them, and what each does; the most useful one first.

    Args:
      loaded: the workflow that was run.
      run: what came of it.
    """
    steps = []
    batch = run.outputs.get("labelling_batch")
    # The batch has a number of questions for each objective.
    if batch is not None and any(value for key, value in batch.properties.items() if key.rpartition("/")[2] == "size"):
        label = shlex.join(["shelfmark", "label", *loaded.arguments])
        steps.append((label, "asks about the products that would teach the model the most; then run again"))
    # What is wrong with the predictions is said where the report reads them; here there is nothing to offer then.
    table = attempt("what to do next", lambda: _table_step(loaded, run), [])
    return [*steps, table] if table is not None else steps


def _table_step(loaded: LoadedWorkflow, run: Run) -> tuple[str, str] | None:
    """What to do with the predictions; None if there is no category in them, not even a guess."""
    published = run.outputs.get(PUBLISHED)
    whole = published is not None and bool(published.properties.get("products"))
    key = PUBLISHED if whole else "predictions"
    if key not in run.outputs:
        return None
    command = ["shelfmark", "predictions", *_as_options(loaded)]
    predictions = PredictionFiles(run.folder(key))
    if predictions.has_category():
        command += [*(["--published"] if whole else []), "--output", f"{loaded.workflow.name}.csv"]
        return shlex.join(command), "writes every product's categories" + ("" if whole else "; not blessed")
    if any(predictions.guessed.values()):
        # A file would leave every category empty: guesses are for people, who label from them.
        return shlex.join(
            command
        ), "shows what categories' names alone let the model guess; a file would leave that out"
    return None


def _as_options(loaded: LoadedWorkflow) -> list[str]:
    """The arguments that name the workflow for a command that reads its runs, and whose arguments are others."""
    first, *others = loaded.arguments or (str(loaded.path),)
    given = [first] if first.startswith("--") else ["--workflow", first]
    # Runs are found without the feed.
    feed = others.index("--feed") if "--feed" in others else len(others)
    return given + others[:feed] + others[feed + 2 :]
