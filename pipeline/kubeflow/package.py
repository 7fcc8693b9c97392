"""From a TFX pipeline to a package: TFX's compiler, then one repair after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from google.protobuf import json_format

from modules.errors import InputError, Problem
from modules.settings.kubeflow import KubeflowSettings
from modules.taxonomy.documents import did_you_mean
from pipeline.kubeflow.checks import check_pipeline, check_sizes
from pipeline.kubeflow.document import SCHEMA_VERSION, Package
from pipeline.kubeflow.drivers import (
    FINGERPRINT,
    add_fingerprints,
    fingerprint_drivers,
    run_file_drivers,
    switch_caches,
)
from pipeline.kubeflow.entrypoint import use_entrypoint
from pipeline.kubeflow.files import inline_file
from pipeline.kubeflow.kubernetes import platform_document, set_kubernetes
from pipeline.kubeflow.parameters import RunParameter, add_parameters, input_types, keep_defaults
from pipeline.kubeflow.presentation import show_metrics
from pipeline.kubeflow.producers import mend_producers
from pipeline.kubeflow.resolvers import replace_resolvers
from pipeline.kubeflow.resources import set_resources

Target = Literal["kubeflow", "vertex"]


def build_package(
    pipeline: Any,
    settings: KubeflowSettings,
    *,
    target: Target = "kubeflow",
    parameters: Iterable[RunParameter] = (),
    inline: Sequence[tuple[str, str]] = (),
    scalars: Sequence[tuple[str, str]] = (),
    report: Callable[[Package], None] | None = None,
) -> Package:
    """Compiles a TFX pipeline and mends the result.

    Args:
      parameters: run parameters.
      inline: (component, parameter) of paths whose files travel in the package.
      scalars: (component, output) of numbers that Kubeflow's pages show.
      report: adds a step behind the components.

    Raises:
      InputError: something that cannot run there (``pipeline.kubeflow.checks``), or settings of an unknown component.
    """
    check_pipeline(pipeline)
    package = Package(_compile(pipeline, settings.image))
    mend_producers(package)
    keep_defaults(package, pipeline)
    use_entrypoint(package)
    run_file_drivers(package)
    if target == "kubeflow":
        replace_resolvers(
            package, image=settings.image, metadata=settings.metadata, artifacts_api=settings.artifacts_api
        )
    for task, parameter in inline:
        inline_file(package, task, parameter)
    for task, output in scalars:
        show_metrics(package, task, output)
    if report is not None and target == "kubeflow":
        report(package)
    add_parameters(package, parameters)
    drivers = fingerprint_drivers(pipeline)
    add_fingerprints(package, drivers)
    input_types(package)
    _check_components(package, settings)
    cached = {}
    for task, _ in package.containers():
        component = task.removesuffix(f"-{FINGERPRINT}")
        reads_for = component if component != task and component in drivers else None
        resources = settings.resources(task, reads_for)
        cached[task] = resources.cache is not False
        set_resources(package, task, resources)
        set_kubernetes(package, task, resources)
    switch_caches(package, cached)
    if target == "kubeflow":
        check_sizes(package)
    return package


def write_package(package: Package, output: Path, *, target: Target = "kubeflow", root: str | None = None) -> None:
    """Writes YAML documents (``kubeflow``) or a PipelineJob in JSON (``vertex``).

    Args:
      root: the pipeline root that a PipelineJob names.
    """
    if target == "vertex":
        job = {
            "displayName": package.spec["pipelineInfo"]["name"],
            "pipelineSpec": package.spec,
            "runtimeConfig": {"gcsOutputDirectory": root, "parameterValues": _defaults(package)},
        }
        output.write_text(json.dumps(job, indent=1, sort_keys=True) + "\n", "utf-8")
        return
    documents = [package.spec, platform_document(package)]
    with output.open("w", encoding="utf-8") as file:
        yaml.dump_all([document for document in documents if document], file, _Dumper, sort_keys=True, width=2**20)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Repeats what occurs twice: Go's YAML reader counts aliases as an attack."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _compile(pipeline: Any, image: str) -> dict[str, Any]:
    from tfx.orchestration.kubeflow.v2.pipeline_builder import PipelineBuilder
    from tfx.version import __version__ as version

    built = PipelineBuilder(
        tfx_pipeline=pipeline, default_image=image, default_commands=["-"], use_pipeline_spec_2_1=True
    ).build()
    built.sdk_version, built.schema_version = f"tfx-{version}", SCHEMA_VERSION
    spec: dict[str, Any] = json_format.MessageToDict(built)
    return spec


def _check_components(package: Package, settings: KubeflowSettings) -> None:
    names = [task for task, _ in package.containers()]
    problems = [
        Problem(
            "",
            f"one of: {', '.join(sorted(names))}",
            key="runners.kubeflow.components",
            value=name,
            hint=did_you_mean(name, names),
        )
        for name in settings.components
        if name not in names
    ]
    if problems:
        raise InputError(problems)


def _defaults(package: Package) -> dict[str, Any]:
    declared = package.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return {name: entry["defaultValue"] for name, entry in declared.items() if "defaultValue" in entry}
