"""Rules from a taxonomy's names, scored where labels exist, as the text of a rules file that loads."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modules.counting import counted

if TYPE_CHECKING:
    from modules.rules.model import Rule
    from modules.rules.report import RuleCount
    from modules.taxonomy import Taxonomy
    from pipeline.workflow_file import LoadedWorkflow


@dataclass(frozen=True)
class SuggestedRules:
    """Rules that nobody has written.

    Attributes:
      rules: those to keep.
      taxonomy: whose categories they name.
      wrong: those that are left out, since they are wrong more often than right.
      judged: how many products' labels say whether a kept rule is right, each once for each rule; right: where it is.
    """

    rules: Sequence[Rule]
    taxonomy: Taxonomy
    wrong: Sequence[RuleCount] = ()
    judged: int = 0
    right: int = 0

    @property
    def text(self) -> str:
        """The rules file's text."""
        from modules.rules import write_rules

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "rules.yaml")
            write_rules(self.rules, path, self.taxonomy)
            return path.read_text("utf-8")

    @property
    def scored(self) -> str:
        """How good they are, as a sentence."""
        rules = f"{counted(len(self.rules), 'rule')} from the categories' names"
        if not self.judged:
            left = f"; {len(self.wrong):,} left out, wrong more often than right" if self.wrong else ""
            they = "it is" if len(self.rules) == 1 else "they are"
            return f"{rules}; no label says how good {they}{left}"
        they = "it meets" if len(self.rules) == 1 else "they meet"
        said = f"{rules}, right for {self.right / self.judged:.0%} of the {counted(self.judged, 'label')} that {they}"
        return f"{said}; {len(self.wrong):,} left out, wrong more often than right" if self.wrong else said


def suggested_rules(taxonomy: Taxonomy) -> SuggestedRules:
    """The rules of the taxonomy's names alone; of repeated names ("Ski > Boots", "Winter > Ski > Boots") some rule may
    contradict itself, and a rules file must not have one that can never fire."""
    from modules.rules.logic import can_fire
    from modules.rules.suggest import suggest_rules

    return SuggestedRules([rule for rule in suggest_rules(taxonomy) if can_fire(rule.when)], taxonomy)


def scored_rules(loaded: LoadedWorkflow, taxonomy: Taxonomy, limit: int | None = None) -> SuggestedRules:
    """The same, without those that a workflow's labels contradict more often than not.

    Args:
      loaded: the workflow; its rules are not looked at.
      taxonomy: the workflow's.
      limit: how many products are looked at, at most; None: all.

    Raises:
      InputError: a file is missing or broken.
    """
    from pipeline.judged_rules import judged

    suggested = suggested_rules(taxonomy)
    if not suggested.rules:
        return suggested
    counts = judged(loaded, taxonomy, suggested.rules, limit=limit).rules
    wrong = [count for count in counts if 2 * count.right < count.judged]
    kept = [count for count in counts if 2 * count.right >= count.judged]
    rules = [count.rule for count in kept]
    return SuggestedRules(rules, taxonomy, wrong, sum(c.judged for c in kept), sum(c.right for c in kept))
