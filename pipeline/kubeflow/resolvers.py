"""Open-source Kubeflow has no resolvers: a small container looks up the last blessed model, an importer brings it.

The container's output cannot be the model itself: the launcher takes outputs only below the run's own root. It gives
the model's address as a parameter; importers take parameters only of the DAG around them, so the importer sits in a DAG
of its own. Where no model was ever blessed, the address is that of a note that says so, and the entrypoint leaves the
input out.
"""

from __future__ import annotations

from typing import Any

from pipeline.kubeflow.document import EXECUTOR, Package
from pipeline.kubeflow.entrypoint import COMMAND

_MODEL = {"artifactType": {"instanceSchema": "title: tfx.Model\ntype: object\n"}}
_NOTE = {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}
_SUFFIXES = ("-model-blessing-resolver", "-model-resolver")


def replace_resolvers(package: Package, *, image: str, metadata: str, artifacts_api: str | None = None) -> None:
    """Replaces every resolver of the last blessed model.

    Args:
      metadata: host:port of ML Metadata as pods see it, or its grpcs:// address.
      artifacts_api: address of an API server to ask instead, as pods see it.

    Raises:
      ValueError: a resolver of something else.
    """
    resolvers = [task for task in package.tasks if "resolver" in package.executor_or_none(task)]
    names = {task.removesuffix(suffix) for task in resolvers for suffix in _SUFFIXES if task.endswith(suffix)}
    if len(resolvers) != len(names) * len(_SUFFIXES):
        raise ValueError(f"only resolvers of the last blessed model can be replaced, not {', '.join(resolvers)}")
    store = ["--artifacts_api", artifacts_api] if artifacts_api else ["--metadata", metadata]
    for name in sorted(names):
        _replace(package, name, image, store)


def _replace(package: Package, name: str, image: str, store: list[str]) -> None:
    old, imported = f"{name}-model-resolver", f"{name}-import"
    consumers = [task for task in package.tasks if old in package.tasks[task].get("dependentTasks", [])]
    for suffix in _SUFFIXES:
        package.remove(name + suffix)
    arguments = [*store, "--json_serialized_invocation_args", "{{$}}"]
    package.add(
        name,
        {
            "inputDefinitions": {"parameters": {"run": {"parameterType": "STRING"}}},
            "outputDefinitions": {"parameters": {"uri": {"parameterType": "STRING"}}, "artifacts": {"note": _NOTE}},
        },
        {"inputs": {"parameters": {"run": {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}}}},
        {"container": {"image": image, "command": [*COMMAND, "last-blessed"], "args": arguments}},
    )
    importer, address = f"{name}-importer", {"parameters": {"uri": {"parameterType": "STRING"}}}
    package.executors[importer + EXECUTOR] = {
        "importer": {
            "artifactUri": {"runtimeParameter": "uri"},
            "typeSchema": _MODEL["artifactType"],
            # A new artifact each time: ML Metadata refuses the same one as two inputs of a component, and a run whose
            # training is served from the cache compares the last blessed model with itself.
            "reimport": True,
        }
    }
    package.components[importer] = {
        "executorLabel": importer + EXECUTOR,
        "inputDefinitions": address,
        "outputDefinitions": {"artifacts": {"model": _MODEL}},
    }
    package.components[imported] = {
        "inputDefinitions": address,
        "outputDefinitions": {"artifacts": {"model": _MODEL}},
        "dag": {
            "tasks": {importer: _task(importer, {"componentInputParameter": "uri"})},
            "outputs": {
                "artifacts": {
                    "model": {"artifactSelectors": [{"producerSubtask": importer, "outputArtifactKey": "model"}]}
                }
            },
        },
    }
    output = {"taskOutputParameter": {"producerTask": name, "outputParameterKey": "uri"}}
    package.tasks[imported] = _task(imported, output) | {"dependentTasks": [name]}
    for task in consumers:
        package.depend(task, imported)
        for artifact in package.tasks[task]["inputs"]["artifacts"].values():
            output_artifact = artifact.get("taskOutputArtifact", {})
            if output_artifact.get("producerTask") == old:
                output_artifact["producerTask"] = imported


def _task(name: str, uri: dict[str, Any]) -> dict[str, Any]:
    return {"componentRef": {"name": name}, "taskInfo": {"name": name}, "inputs": {"parameters": {"uri": uri}}}
