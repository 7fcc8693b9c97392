"""In the pod: a run's artifacts in, what Kubeflow's pages show out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from components.class_metrics.files import read_figures
from modules.objectives import Objective
from modules.reporting.labelling_batch import BatchQuestion, read_facts, read_questions, write_labelling_batch
from modules.reporting.model import Confusion
from modules.reporting.page import write_report
from pipeline.kubeflow.container.artifact import addresses
from pipeline.kubeflow.container.invocation import Invocation, write_output
from pipeline.kubeflow.report import BATCH_PAGE, CONFUSION, COUNTS, PAGE
from pipeline.measured import Measured
from pipeline.report import attempt, report_of
from pipeline.runs import Output, Run, Value


def make_report(invocation: Invocation, workflow: str) -> None:
    """Writes the pages, and the confusion matrices as metadata.

    Args:
      workflow: JSON with its ``name`` and ``objectives``.
    """
    described = json.loads(workflow)
    objectives = TypeAdapter(dict[str, Objective]).validate_python(described["objectives"])
    run = run_of(invocation)
    metrics = run.outputs.get("metrics")
    missing: list[str] = []
    figures = attempt("the categories' figures", lambda: read_figures(metrics.folder), missing) if metrics else None
    if BATCH_PAGE in invocation.own:
        batch = attempt("the labelling batch", lambda: _read_batch(run), missing)
        # Written in any case: the launcher of 3.0 refuses a step that leaves a declared output out.
        write_labelling_batch(_place(invocation, BATCH_PAGE), run.id, *(batch or ([], {})), missing=tuple(missing))
    report = report_of(
        described["name"],
        objectives,
        run,
        missing,
        metrics=[(run.id, Measured.of(metrics, figures))] if metrics else [],
    )
    write_report(replace(report, alone=True), _place(invocation, PAGE))
    for sentence in missing:
        print(f"could not be read: {sentence}", flush=True)
    matrices = {
        CONFUSION + objective.name: confusion_metadata(objective.predicted.confusion)
        for objective in report.objectives
        if objective.predicted is not None and objective.predicted.confusion is not None
    }
    artifacts = {
        name: {"artifacts": [{"uri": entry["artifacts"][0]["uri"], "metadata": matrices.get(name, {})}]}
        for name, entry in invocation.own.items()
    }
    write_output(invocation, {"artifacts": artifacts})


def run_of(invocation: Invocation) -> Run:
    """The run, as far as its artifacts are inputs; their ids are ML Metadata's, and 0 in 3.0, which has none."""
    outputs = {}
    for name, entry in invocation.inputs.items():
        places = [address for artifact in entry["artifacts"] for address in addresses(artifact)]
        properties: dict[str, Value] = {}
        for artifact in entry["artifacts"]:
            properties |= _properties(artifact, name == COUNTS)
        given = str(entry["artifacts"][0].get("name") or "")
        identity = int(given) if given.isdecimal() else 0
        outputs["examples" if name == COUNTS else name] = Output(
            identity, places[0] if len(places) == 1 else "", properties
        )
    return Run(str(invocation.parameters["run"]), outputs)


def confusion_metadata(confusion: Confusion) -> dict[str, Any]:
    """As Kubeflow's pages read it: rows are labels, columns predictions."""
    from kfp.dsl import ClassificationMetrics

    metrics = ClassificationMetrics()
    metrics.log_confusion_matrix(list(confusion.names), confusion.counts.tolist())
    return dict(metrics.metadata)


def _read_batch(run: Run) -> tuple[list[BatchQuestion], dict[str, list[tuple[str, str]]]]:
    batch = run.folder("labelling_batch")
    return read_questions(batch, run.taxonomy(), run.folder("predictions")), read_facts(batch)


def _properties(artifact: Mapping[str, Any], whole: bool) -> dict[str, Value]:
    """ML Metadata's numbers come as doubles; ``whole``: those that are counts."""
    properties = {n: v for n, v in (artifact.get("metadata") or {}).items() if isinstance(v, int | float | str)}
    return {n: int(v) if whole and isinstance(v, float) and v.is_integer() else v for n, v in properties.items()}


def _place(invocation: Invocation, name: str) -> Path:
    """Where the file of an output has to lie in the pod."""
    path = Path(invocation.staging.local(invocation.own[name]["artifacts"][0]["uri"]))
    os.makedirs(path.parent, exist_ok=True)
    return path
