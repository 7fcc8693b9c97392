"""Rules from a taxonomy's names, as the text of a rules file that loads."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modules.taxonomy import Taxonomy


def suggested_rules_text(taxonomy: Taxonomy) -> tuple[str, int]:
    """The rules file's text and the number of rules in it; of repeated names ("Ski > Boots", "Winter > Ski > Boots")
    some rule may contradict itself, and a rules file must not have one that can never fire."""
    from modules.rules import write_rules
    from modules.rules.logic import can_fire
    from modules.rules.suggest import suggest_rules

    rules = [rule for rule in suggest_rules(taxonomy) if can_fire(rule.when)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rules.yaml")
        write_rules(rules, path, taxonomy)
        return path.read_text("utf-8"), len(rules)
