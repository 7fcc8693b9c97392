"""Parameters that come from another component's output: TFX names its task ``X_task``, which does not exist."""

from __future__ import annotations

from pipeline.kubeflow.document import Package


def mend_producers(package: Package) -> None:
    """Names the task that is there, and gives the input its output's type, which TFX takes for a text."""
    for name, task in package.tasks.items():
        for parameter, source in task.get("inputs", {}).get("parameters", {}).items():
            output = source.get("taskOutputParameter")
            if output and output["producerTask"] not in package.tasks:
                output["producerTask"] = output["producerTask"].removesuffix("_task")
            if output:
                given = package.component(output["producerTask"])["outputDefinitions"]["parameters"]
                wanted = package.component(name)["inputDefinitions"]["parameters"]
                wanted[parameter]["parameterType"] = given[output["outputParameterKey"]]["parameterType"]
