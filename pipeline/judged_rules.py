"""How often a workflow's rules, or such as are suggested for it, are right where its products have labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modules.labels import ResolvedLabel
    from modules.rules.model import Rule, RuleSet
    from modules.rules.report import RulesReport
    from modules.taxonomy import Taxonomy
    from pipeline.workflow_file import LoadedWorkflow


def judged(
    loaded: LoadedWorkflow,
    taxonomy: Taxonomy,
    rules: RuleSet | Sequence[Rule],
    objective: str | None = None,
    limit: int | None = None,
) -> RulesReport:
    """What rules reach, and how often they are right, by the label files and by the feed's own categories.

    Args:
      loaded: the workflow whose products and labels are read.
      taxonomy: the workflow's.
      rules: those of a file, or suggested ones.
      objective: whose labels judge; None: the first exclusive one's.
      limit: how many products are looked at, at most; None: all.

    Raises:
      InputError: a file is missing or broken.
    """
    from modules.rules.model import RuleSet
    from modules.rules.report import rules_report
    from pipeline.products import read_products

    rule_set = rules if isinstance(rules, RuleSet) else RuleSet(tuple(rules), taxonomy)
    labels = _labels(loaded, taxonomy, objective)
    products = ({"id": product.id, **product.text} for product in islice(read_products(loaded), limit))
    return rules_report(rule_set, products, labels)


def _labels(loaded: LoadedWorkflow, taxonomy: Taxonomy, objective: str | None) -> dict[str, ResolvedLabel]:
    from modules.feeds.ids import LabelIds
    from modules.labels import carry_over, read_labels, resolve
    from modules.objectives import kinds_of
    from pipeline.products import true_labels

    judge = objective or next(iter(loaded.workflow.single_label_objectives), None)
    labels: dict[str, ResolvedLabel] = {}
    truth = loaded.workflow.labels.truth
    if truth is not None and truth.objective == judge:
        labels = true_labels(loaded, taxonomy)
    if judge is not None:
        log = read_labels(loaded.label_files, taxonomy, kinds_of(loaded.workflow.objectives))
        labels |= resolve(carry_over(log, LabelIds.of(loaded.workflow.sources).product_id))[judge]
    return labels
