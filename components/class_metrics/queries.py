"""Questions about metrics, answered by ML Metadata alone: the pipeline root may be gone. Light: no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import hypot
from typing import Any

from components.class_metrics.properties import figures_of, overall
from components.class_metrics.results import (
    CategoryHistory,
    CategoryResult,
    CategoryRun,
    Change,
    Comparison,
    RunMetrics,
    time_text,
)
from components.class_metrics.store import connection_config, open_store
from components.record import properties_of, record_of
from modules.errors import InputError, Problem

__all__ = [
    "CategoryHistory", "Comparison", "RunMetrics", "all_metrics", "category_history", "compare", "connection_config",
    "latest_metrics", "open_store", "run_metrics",
]  # fmt: skip

TYPE_NAME = "components.CategoryMetrics"
_COMPARED = ("accuracy", "macro_f1", "weighted_f1", "hierarchical_f1", "micro_f1", "auc")


def all_metrics(store: Any, pipeline_name: str | None = None) -> list[RunMetrics]:
    """The metrics of all runs (of one pipeline), oldest first."""
    return [_read(store, artifact) for artifact in _listed(store, pipeline_name)]


def latest_metrics(store: Any, pipeline_name: str | None = None) -> RunMetrics:
    """The metrics that the newest run has, be they its own or from the cache.

    Raises:
      InputError: no run has any.
    """
    listed = _listed(store, pipeline_name)
    if not listed:
        of = f" of {pipeline_name!r}" if pipeline_name else ""
        raise InputError(Problem("", f"no run{of} has metrics yet", hint="run the workflow first: shelfmark run"))
    return _read(store, max(listed, key=lambda metrics: _time(metrics.runs[-1])))


def run_metrics(store: Any, run: str, pipeline_name: str | None = None) -> RunMetrics:
    """The metrics of one run.

    Raises:
      InputError: there is no such run, or it has no metrics.
    """
    listed = _listed(store, pipeline_name)
    for metrics in reversed(listed):
        if run in [context.name for context in metrics.runs]:
            return _read(store, metrics)
    runs = [context.name for metrics in listed for context in metrics.runs]
    expected = f"expected a run with metrics: {', '.join(runs[-10:]) or 'there is none yet'}"
    raise InputError(Problem("", expected, key="run", value=run))


def category_history(store: Any, category: str, pipeline_name: str | None = None) -> CategoryHistory:
    """One category's figures over all runs, per objective.

    Args:
      store: an ``ml_metadata.MetadataStore``.
      category: its path ("Shoes > Boots") or id.
      pipeline_name: only runs of this pipeline; None: all.

    Raises:
      InputError: no run knows the category.
    """
    runs, names = [], {}
    path, identity = "", ""
    for metrics in all_metrics(store, pipeline_name):
        for item in metrics.categories:
            names[item.path] = item.id
            if category in (item.path, item.id):
                path, identity = item.path, item.id
                runs.append(CategoryRun(metrics.run, metrics.pipeline, metrics.time, item.objective, item.values))
    if not runs:
        raise InputError(_unknown_category(category, names))
    return CategoryHistory(identity, path, runs)


def compare(store: Any, run_a: str, run_b: str, pipeline_name: str | None = None) -> Comparison:
    """Lists what got better and worse from ``run_a`` to ``run_b``: overall, and each category's F1.

    A change is certain where it is larger than chance explains: Newcombe's (1998, method 10) interval of a difference,
    out of the two figures' own intervals, does not hold 0.

    Raises:
      InputError: one of them is no run with metrics.
    """
    a, b = run_metrics(store, run_a, pipeline_name), run_metrics(store, run_b, pipeline_name)
    overall = []
    for objective in sorted(set(a.values) & set(b.values)):
        before, after = a.values[objective], b.values[objective]
        support = before.get("weight", 0.0), after.get("weight", 0.0)
        for figure in _COMPARED:
            if figure in before and figure in after:
                overall.append(_change(objective, "", figure, before, after, support))
    of_a = {(item.objective, item.id): item for item in a.categories}
    of_b = {(item.objective, item.id): item for item in b.categories}
    changes = []
    for key in set(of_a) & set(of_b):
        before, after = of_a[key].values, of_b[key].values
        if "f1" in before and "f1" in after and before["f1"] != after["f1"]:
            support = before.get("support", 0.0), after.get("support", 0.0)
            changes.append(_change(key[0], of_b[key].path, "f1", before, after, support))
    changes.sort(key=lambda change: (-abs(change.difference), change.objective, change.path))
    return Comparison(
        a=run_a,
        b=run_b,
        overall=overall,
        better=[change for change in changes if change.certain and change.difference > 0],
        worse=[change for change in changes if change.certain and change.difference < 0],
        uncertain=[change for change in changes if not change.certain],
        only_in_a=_paths(of_a[key] for key in set(of_a) - set(of_b)),
        only_in_b=_paths(of_b[key] for key in set(of_b) - set(of_a)),
    )


@dataclass(frozen=True)
class _ListedMetrics:
    """Metrics of which nothing is read yet: the artifact, its runs oldest first, and their pipeline."""

    artifact: Any
    runs: list[Any]
    pipeline: str


def _listed(store: Any, pipeline_name: str | None) -> list[_ListedMetrics]:
    """Metrics of all runs, oldest first."""
    from ml_metadata import errors
    from ml_metadata.proto import metadata_store_pb2

    try:
        artifacts = store.get_artifacts_by_type(TYPE_NAME)
    except errors.NotFoundError:
        return []
    # A failed or running component leaves an artifact that nothing stands behind.
    live = [a for a in artifacts if a.state in (metadata_store_pb2.Artifact.LIVE, metadata_store_pb2.Artifact.UNKNOWN)]
    listed = []
    for artifact in sorted(live, key=lambda a: (a.create_time_since_epoch, a.id)):
        contexts = _contexts(store, artifact)
        runs = sorted((c for c in contexts if c.type == "pipeline_run"), key=_time)
        pipeline = next((c.name for c in contexts if c.type == "pipeline"), "")
        if runs and pipeline_name in (None, pipeline):
            listed.append(_ListedMetrics(artifact, runs, pipeline))
    return listed


def _read(store: Any, metrics: _ListedMetrics) -> RunMetrics:
    properties = properties_of(metrics.artifact)
    figures = figures_of(properties, record_of(store, metrics.artifact.id))
    return RunMetrics(
        run=metrics.runs[0].name,
        pipeline=metrics.pipeline,
        time=time_text(metrics.artifact.create_time_since_epoch),
        values=overall(properties),
        categories=sorted(figures.categories, key=lambda item: (item.objective, item.path)),
        failed=figures.failed,
        reused_by=[context.name for context in metrics.runs[1:]],
    )


def _contexts(store: Any, artifact: Any) -> list[Any]:
    """The artifact's contexts: a fresh artifact's own, and those of runs that took it from the cache."""
    contexts = {context.id: context for context in store.get_contexts_by_artifact(artifact.id)}
    executions = {event.execution_id for event in store.get_events_by_artifact_ids([artifact.id])}
    for execution in executions:
        for context in store.get_contexts_by_execution(execution):
            contexts.setdefault(context.id, context)
    return list(contexts.values())


def _time(context: Any) -> tuple[int, int]:
    return (context.create_time_since_epoch, context.id)


def _change(
    objective: str, path: str, figure: str, before: Mapping[str, float], after: Mapping[str, float],
    support: tuple[float, float],
) -> Change:  # fmt: skip
    old, new = before[figure], after[figure]
    low, high = f"{figure}/lower", f"{figure}/upper"
    certain = False
    if all(name in values for name in (low, high) for values in (before, after)):
        # How far each figure may lie towards the other.
        towards = (before[high] - old, new - after[low]) if new > old else (old - before[low], after[high] - new)
        certain = abs(new - old) > hypot(*towards)
    return Change(objective, path, figure, old, new, support, certain)


def _paths(items: Iterable[CategoryResult]) -> list[str]:
    return sorted({item.path for item in items})


def _unknown_category(category: str, names: Mapping[str, str]) -> Problem:
    if not names:
        return Problem("", "no run has metrics yet", hint="run the workflow first: shelfmark run")
    from rapidfuzz import process

    nearest = process.extractOne(category, list(names))
    hint = f"did you mean {nearest[0]!r}?" if nearest else ""
    return Problem("", "no run has measured such a category", key="category", value=category, hint=hint)
