"""A step that shows the run on Kubeflow's own pages: confusion matrices, the report, the labelling batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modules.objectives import Objective, kinds_of, single_label_names
from pipeline.kubeflow.document import Package
from pipeline.kubeflow.entrypoint import COMMAND
from pipeline.kubeflow.presentation import SCALARS
from pipeline.runs import PRODUCED_BY

REPORT = "Report"
"""The step's name."""
PAGE, BATCH_PAGE, CONFUSION = "page", "batch_page", "confusion_"
"""Its outputs; a confusion matrix per single-label objective, with the objective's name behind."""
READ = (
    "taxonomy", "quarantine", "tuner_results", "model", "evaluation", "blessing", "metrics", "predictions",
    "labelling_batch",
)  # fmt: skip
"""Outputs of the run that it reads. Of the examples it has the numbers alone: the launcher would copy all of them."""
COUNTS = "counts"


def add_report(package: Package, image: str, workflow: str, objectives: Mapping[str, Objective]) -> None:
    """Adds the step behind all components whose outputs it reads.

    Args:
      workflow: its name.
      objectives: its objectives.
    """
    artifacts, types = {}, {}
    sources = {key: (PRODUCED_BY[key], key) for key in READ} | {COUNTS: (PRODUCED_BY["examples"], SCALARS)}
    for name, (task, key) in sources.items():
        made = package.component(task)["outputDefinitions"]["artifacts"] if task in package.tasks else {}
        if key in made:
            types[name] = {"artifactType": made[key]["artifactType"]}
            artifacts[name] = {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": key}}
    outputs = {PAGE: "system.HTML"}
    if "labelling_batch" in artifacts:
        outputs[BATCH_PAGE] = "system.HTML"
    for name in single_label_names(kinds_of(objectives)):
        outputs[CONFUSION + name] = "system.ClassificationMetrics"
    described = {"name": workflow, "objectives": {name: o.model_dump(mode="json") for name, o in objectives.items()}}
    arguments = ["--workflow", json.dumps(described, sort_keys=True), "--json_serialized_invocation_args", "{{$}}"]
    package.add(
        REPORT,
        {
            "inputDefinitions": {"parameters": {"run": {"parameterType": "STRING"}}, "artifacts": types},
            "outputDefinitions": {"artifacts": {name: _type(title) for name, title in outputs.items()}},
        },
        {
            "inputs": {
                "parameters": {"run": {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}},
                "artifacts": artifacts,
            }
        },
        {"container": {"image": image, "command": [*COMMAND, "report"], "args": arguments}},
    )
    for source in artifacts.values():
        package.depend(REPORT, source["taskOutputArtifact"]["producerTask"])


def _type(title: str) -> dict[str, Any]:
    return {"artifactType": {"schemaTitle": title, "schemaVersion": "0.0.1"}}
