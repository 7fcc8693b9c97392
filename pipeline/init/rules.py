"""First rules for a feed that was looked at."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.init.detect import Guess
from pipeline.init.images import feed_folder
from pipeline.suggested_rules import SuggestedRules, scored_rules, suggested_rules

JUDGED = 100_000
"""Products whose labels are looked at, at most."""


def first_rules(guess: Guess, workflow: str, taxonomy: str, name: str, *, given: bool = False) -> SuggestedRules | None:
    """Rules made of the categories' names, without those that the feed's own categories contradict.

    Args:
      guess: what the feed was taken for.
      workflow: the text of the workflow without rules.
      taxonomy: the text of its taxonomy.
      name: the workflow's.
      given: the taxonomy is somebody's own, not the feed's.

    Returns:
      None without categories.
    """
    from modules.taxonomy import Taxonomy
    from pipeline.inputs import taxonomy_of
    from pipeline.workflow_file import load_workflow

    if not guess.nodes and not given:
        return None
    parent = feed_folder([path for feed in guess.feeds or (guess,) for path in feed.files.paths])
    with tempfile.TemporaryDirectory() as folder:
        # The run's own reading of the feed judges: what `init` writes is put where nobody sees it, and read.
        file = Path(folder, f"{name}.yaml")
        file.write_text(workflow, "utf-8")
        tree = Path(folder, f"{name}.taxonomy.yaml")
        tree.write_text(taxonomy, "utf-8")
        if guess.category is None:
            return suggested_rules(Taxonomy.load(str(tree)))
        Path(folder, f"{name}.labels.jsonl").write_text("", "utf-8")
        loaded = load_workflow(file, feed_folder=parent)
        return scored_rules(loaded, taxonomy_of(loaded), JUDGED)
