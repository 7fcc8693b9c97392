"""Runs out of ML Metadata: metrics over all of them, and what the newest one says of rules and mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from labelling.content import RuleFacts, Run
from labelling.store.rows import microseconds
from modules.examples import Counts
from modules.labels import ResolvedLabel
from modules.rules.model import RuleSet, to_dict
from modules.rules.report import is_right
from modules.taxonomy import Taxonomy
from shelfmark.cli.label.gather.examples import SHOWN, RuleTally

if TYPE_CHECKING:
    from components.class_metrics.results import RunMetrics
    from pipeline.runs import Output


def measured(store: Any, workflow: str) -> dict[str, RunMetrics]:
    """Run id to its metrics, oldest first."""
    from components.class_metrics.queries import all_metrics

    return {metrics.run: metrics for metrics in all_metrics(store, workflow)}


def run_of(
    run: str,
    workflow: str,
    metrics: RunMetrics | None,
    outputs: Mapping[str, Output] | None = None,
    **more: Any,
) -> Run:
    """A run as the pages show it.

    Args:
      run: its id.
      workflow: the workflow's name.
      metrics: its metrics; None: it has none.
      outputs: what it made; None for one that only its metrics are known of.
      **more: further attributes of the run.
    """
    facts: dict[str, Any] = {}
    if metrics is not None:
        facts["metrics"] = {name: _finite(values) for name, values in metrics.values.items()}
        facts["failed"] = metrics.failed
    if outputs is not None:
        facts |= _outputs(outputs)
    time = microseconds(datetime.fromisoformat(metrics.time)) if metrics is not None else time_of(run)
    figures = {(c.objective, c.id): _finite(c.values) for c in metrics.categories} if metrics is not None else {}
    return Run(run, workflow, time, facts, figures, **more)


def time_of(run: str) -> int:
    """When a run began, of its id; 0 where the id does not say."""
    try:
        return microseconds(datetime.strptime(run[:19], "%Y-%m-%dT%H-%M-%S"))
    except ValueError:
        return 0


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _outputs(outputs: Mapping[str, Output]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if "examples" in outputs:
        counts = Counts.from_properties(outputs["examples"].properties)
        facts["products"] = dict(counts.products)
        facts["labels"] = {f"{objective}/{source}": n for (objective, source), n in counts.labels.items()}
    if "blessing" in outputs:
        facts["blessed"] = bool(outputs["blessing"].properties.get("blessed"))
    if "model" in outputs and outputs["model"].folder.exists():
        from modules.reporting.collect import training_of

        training = training_of(outputs["model"].folder)
        facts["model"] = [list(pair) for pair in training.facts] if training is not None else []
    facts["artifacts"] = {key: output.uri for key, output in outputs.items()}
    return facts


def rule_facts(rules: RuleSet, tally: RuleTally, taxonomy: Taxonomy) -> Iterator[RuleFacts]:
    """What each rule caught and got wrong; labels judge it where they say anything about its category."""
    for rule in rules:
        judged = right = 0
        wrong: list[str] = []
        for (name, category), count in tally.judged.items():
            if name != rule.id:
                continue
            verdict = is_right(taxonomy[rule.category], ResolvedLabel(category, (), (), "", None, (), 1.0), taxonomy)
            if verdict is not None:
                judged += count
                right += count * verdict
                wrong += [] if verdict else tally.judged_ids[name, category]
        figures = {"products": tally.fires[rule.id], "alone": tally.alone[rule.id], "judged": judged, "right": right}
        examples = {"catches": tally.catches.get(rule.id, []), "wrong": wrong[:SHOWN]}
        yield RuleFacts(rule.id, rule.category, to_dict(rule.when), figures, examples)


def missed(tally: RuleTally) -> dict[str, tuple[dict[str, int], list[str]]]:
    """Category to how many of its labelled products its rules miss."""
    return {
        category: ({"labelled": count, "missed": tally.missed[category]}, tally.missed_ids.get(category, []))
        for category, count in tally.labelled.items()
    }
