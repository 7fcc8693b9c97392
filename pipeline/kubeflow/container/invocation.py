"""The executor input, as Kubeflow's driver sends it, made into what TFX's entrypoint can read."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import dataclass, field
from typing import Any

from modules.errors import InputError, Problem
from pipeline.kubeflow.container.artifact import addresses, schema_title
from pipeline.kubeflow.container.staging import Staging
from pipeline.kubeflow.files import unpack_files
from pipeline.kubeflow.overrides import apply_overrides, from_argument

NOTHING = "NO_BLESSED_MODEL"
"""Name of the only file in an artifact that stands for none."""
FOUND = "LAST_BLESSED_MODEL"
"""Name of the only file in the same artifact where there is a model: it holds the model's address."""


@dataclass
class Invocation:
    """One call of a container.

    Attributes:
      input: the ExecutorInput (camelCase). spec: the component's input definitions.
      staging: where remote addresses lie in the container: copied by the launcher on open-source Kubeflow, mounted on
        Vertex AI.
      own: outputs that TFX knows nothing of (``system.*``), by name.
    """

    input: dict[str, Any]
    spec: dict[str, Any]
    staging: Staging
    own: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Invocation:
        """With types, local paths, the run's values and inline files in place."""
        invocation = cls(
            json.loads(arguments.json_serialized_invocation_args),
            json.loads(arguments.json_serialized_inputs_spec_args or "{}"),
            Staging(),
        )
        invocation._describe_inputs()
        invocation._leave_out_logs()
        for side in ("inputs", "outputs"):
            invocation.staging.artifacts(invocation.input.get(side, {}).get("artifacts", {}), local=True)
        outputs = invocation.input.get("outputs", {})
        for output in (outputs, *outputs.get("parameters", {}).values()):
            if "outputFile" in output:
                output["outputFile"] = invocation.staging.local(output["outputFile"])
        invocation._leave_out_nothing()
        apply_overrides(invocation.parameters, from_argument(arguments.overrides or "[]"))
        unpack_files(invocation.parameters)
        return invocation

    @property
    def parameters(self) -> dict[str, Any]:
        """Values of the input parameters."""
        parameters: dict[str, Any] = self.input.setdefault("inputs", {}).setdefault("parameterValues", {})
        return parameters

    @property
    def inputs(self) -> dict[str, Any]:
        artifacts: dict[str, Any] = self.input.setdefault("inputs", {}).setdefault("artifacts", {})
        return artifacts

    @property
    def outputs(self) -> dict[str, Any]:
        artifacts: dict[str, Any] = self.input.setdefault("outputs", {}).setdefault("artifacts", {})
        return artifacts

    @property
    def output_file(self) -> str:
        return str(self.input["outputs"]["outputFile"])

    def properties(self) -> dict[str, Any]:
        """Execution properties: whole numbers as such where the component says so."""
        whole = {n for n, t in self.spec.get("parameters", {}).items() if t.get("parameterType") == "NUMBER_INTEGER"}
        return {n: int(v) if n in whole else v for n, v in self.parameters.items()}

    def prepare_outputs(self) -> None:
        """Makes the outputs' folders; what an earlier try left behind goes. Value artifacts are files, not folders."""
        if os.path.exists(self.output_file):
            os.remove(self.output_file)
        for entry in self.outputs.values():
            for artifact in entry["artifacts"]:
                path = artifact["uri"]
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif os.path.exists(path):
                    os.remove(path)
                os.makedirs(os.path.dirname(path) if _is_value(artifact) else path, exist_ok=True)

    def require_addresses(self) -> None:
        """Refuses what TFX cannot read.

        Raises:
          InputError: an input artifact has no address, or several.
        """
        problems = []
        for name, entry in self.inputs.items():
            counts = {len(addresses(artifact)) for artifact in entry["artifacts"]}
            for count in sorted(counts - {1}):
                given = f"Kubeflow gave {count or 'none'}"
                problems.append(Problem("", f"one address of the artifact; {given}", key=f"the input {name}"))
        if problems:
            raise InputError(problems)

    def _describe_inputs(self) -> None:
        """Types, names and addresses of inputs in the one form that TFX reads.

        The driver of 2.x sends no types, that of 3.0 whole schema documents and, for some, types of its own: what the
        component declares is what its executor was compiled for. 3.0 names artifacts by output; their ``artifactId``
        tells one from another.
        """
        for name, entry in self.inputs.items():
            declared = self.spec.get("artifacts", {}).get(name, {}).get("artifactType")
            for artifact in entry.get("artifacts", []):
                title = schema_title(artifact.get("type"))
                if declared is not None or title:
                    artifact["type"] = declared or {"schemaTitle": title}
                if artifact.get("artifactId"):
                    artifact["name"] = artifact["artifactId"]
                places = addresses(artifact)
                artifact.pop("uri", None)
                if places:
                    artifact["uri"] = places[0] if len(places) == 1 else places

    def _leave_out_logs(self) -> None:
        """The driver adds ``executor-logs``; it is written by the launcher, and no TFX artifact."""
        for name in [name for name, entry in self.outputs.items() if _kind(entry).startswith("system.")]:
            entry = self.outputs.pop(name)
            if name != "executor-logs":
                self.own[name] = entry

    def _leave_out_nothing(self) -> None:
        for name in [name for name, entry in self.inputs.items() if _is_nothing(entry)]:
            del self.inputs[name]


def read_output(invocation: Invocation) -> dict[str, Any]:
    """The ExecutorOutput that the executor wrote."""
    with open(invocation.output_file, encoding="utf-8") as file:
        output: dict[str, Any] = json.load(file)
    return output


def write_output(invocation: Invocation, output: dict[str, Any]) -> None:
    """Writes it for the launcher: remote addresses, and no null values, which ML Metadata refuses."""
    artifacts = output.setdefault("artifacts", {})
    for entry in artifacts.values():
        for artifact in entry["artifacts"]:
            metadata = artifact.get("metadata", {})
            for name in [name for name, value in metadata.items() if value is None]:
                del metadata[name]
    invocation.staging.artifacts(artifacts, local=False)
    os.makedirs(os.path.dirname(invocation.output_file), exist_ok=True)
    with open(invocation.output_file, "w", encoding="utf-8") as file:
        json.dump(output, file)


def _kind(entry: dict[str, Any]) -> str:
    return schema_title(entry["artifacts"][0].get("type")) if entry.get("artifacts") else ""


def _is_nothing(entry: dict[str, Any]) -> bool:
    artifacts = entry.get("artifacts", [])
    return not artifacts or any(os.path.exists(os.path.join(address, NOTHING)) for address in addresses(artifacts[0]))


def _is_value(artifact: dict[str, Any]) -> bool:
    from tfx.orchestration.kubeflow.v2.compiler_utils import TITLE_TO_CLASS_PATH
    from tfx.types.value_artifact import ValueArtifact
    from tfx.utils import import_utils

    title = schema_title(artifact.get("type"))
    return issubclass(import_utils.import_class_by_path(TITLE_TO_CLASS_PATH.get(title, title)), ValueArtifact)
