"""What a person may do after a run, as commands."""

from __future__ import annotations

import shlex

from pipeline.runs import Run
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
    published = run.outputs.get("published_predictions")
    whole = published is not None and bool(published.properties.get("products"))
    if whole or "predictions" in run.outputs:
        wanted = ["--published"] if whole else []
        table = f"{loaded.workflow.name}.csv"
        export = ["shelfmark", "predictions", *_as_options(loaded), *wanted, "--output", table]
        steps.append((shlex.join(export), "writes every product's categories" + ("" if whole else "; not blessed")))
    return steps


def _as_options(loaded: LoadedWorkflow) -> list[str]:
    """The arguments that name the workflow for a command that reads its runs, and whose arguments are others."""
    first, *others = loaded.arguments or (str(loaded.path),)
    given = [first] if first.startswith("--") else ["--workflow", first]
    # Runs are found without the feed.
    feed = others.index("--feed") if "--feed" in others else len(others)
    return given + others[:feed] + others[feed + 2 :]
