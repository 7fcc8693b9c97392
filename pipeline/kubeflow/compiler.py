"""From the workflow file to the package: where pods find what lies on this machine, and what a run may change."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.errors import InputError
from modules.settings.beam import BEAM_COMPONENTS
from modules.settings.kubeflow import KubeflowSettings
from pipeline.kubeflow.package import Target, build_package, write_package
from pipeline.kubeflow.parameters import TYPES, RunParameter
from pipeline.kubeflow.report import add_report
from pipeline.kubeflow.values import misfit, parameter_name
from pipeline.runs import PRODUCED_BY
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

PUSHED = "/tmp/pushed"  # noqa: S108 - of the pod, which no one else writes to
"""In the pod: what is pushed is an artifact as well, and stays in the pipeline root."""
IMAGES = "/tmp/images"  # noqa: S108 - of the pod, which no one else writes to
"""In the pod: the cache of product images."""
SHOWN = ("examples", "tuner_results", "metrics", "labelling_batch", "similarity_index")
"""Outputs whose numbers Kubeflow's pages show."""
_FEED = "folder with feed, taxonomy, rules and labels, as the pods see it"
_SNAPSHOT = "folder with labels.jsonl and queued.jsonl of the label store (shelfmark label snapshot); empty: none"
_Places = tuple[tuple[tuple[str, ...], bool, str | None], ...]


def pods_pipeline(loaded: LoadedWorkflow, schema: Path) -> Pipeline:
    """The workflow's pipeline with the places that pods see.

    Args:
      schema: the folder where the schema file is written that the package embeds.
    """
    # First: it mends what TFX and its neighbours miss of each other.
    from tfx import components as _components  # noqa: F401

    from pipeline.pipeline import Places, create_pipeline
    from pipeline.schema import write_run_schema

    settings = loaded.workflow.runners.kubeflow
    places = Places(
        root=settings.pipeline_root or "minio://mlpipeline",
        pushed=settings.push_folder or PUSHED,
        pushed_indexes=f"{settings.push_folder or PUSHED}/indexes",
        schema=str(write_run_schema(loaded, schema)),
    )
    return create_pipeline(_as_pods_see_it(loaded), places)


def compile_workflow(loaded: LoadedWorkflow, output: Path, *, target: Target = "kubeflow") -> None:
    """Writes the package of a workflow.

    Raises:
      InputError: something in the workflow that cannot run there.
    """
    settings = loaded.workflow.runners.kubeflow
    _check(loaded, settings, target)
    with tempfile.TemporaryDirectory() as folder:
        built = pods_pipeline(loaded, Path(folder))
        from pipeline.pipeline import PARTS

        nodes = {node.id for node in built.components}
        package = build_package(
            built,
            settings,
            target=target,
            parameters=run_parameters(
                loaded, settings, {name: parts for name, parts in PARTS.items() if name in nodes}
            ),
            inline=[("ImportSchemaGen", "schema_file")],
            scalars=[(PRODUCED_BY[key], key) for key in SHOWN if PRODUCED_BY[key] in nodes],
            report=lambda package: add_report(
                package, settings.image, loaded.workflow.name, loaded.workflow.objectives
            ),
        )
    write_package(package, output, target=target, root=settings.pipeline_root or "")


def run_parameters(
    loaded: LoadedWorkflow, settings: KubeflowSettings, parts: dict[str, set[str]]
) -> list[RunParameter]:
    """The package's parameters.

    Args:
      parts: component to the sections of the workflow that it sees.

    Raises:
      InputError: ``runners.kubeflow.parameters`` names something that is no setting with a single value.
    """
    labels = "{}/labels.jsonl"
    feed: dict[str, _Places] = {"ProductExampleGen": ((("folder",), False, None),)}
    for component in ("Tuner", "Trainer"):
        if component in parts and (weights := tuple(_weights(loaded, component))):
            feed[component] = weights
    snapshot: dict[str, _Places] = {"ProductExampleGen": ((("settings_json", "labels", "files"), True, labels),)}
    if "ActiveSampler" in parts:
        feed["ActiveSampler"] = ((("labels", "folder"), False, None),)
        queue = ("labels", "queue"), False, "{}/queued.jsonl"
        snapshot["ActiveSampler"] = ((("labels", "files"), True, labels), queue)
    parameters = [
        RunParameter("feed", settings.feed or str(loaded.folder), _FEED, feed),
        RunParameter("label_snapshot", "", _SNAPSHOT, snapshot),
    ]
    problems = []
    defaults = type(settings).model_fields["parameters"].default
    for key in settings.parameters:
        value = _value(loaded, key)
        if type(value) not in TYPES:
            # A workflow without sampling has no size of the batch; the list of defaults is for all workflows.
            if key not in defaults:
                expected = "settings with a single value (a number, a text, true or false), not left null"
                problems.append(loaded.problem("runners.kubeflow.parameters", expected, key))
            continue
        wrong = misfit(TYPES[type(value)], value)
        if wrong:
            problems.append(loaded.problem(key, f"expected {wrong}, being a run parameter", value))
            continue
        targets = {
            component: (((*_prefix(component), *key.split(".")), False, None),)
            for component, sections in parts.items()
            if key.split(".")[0] in sections
        }
        if targets:
            parameters.append(RunParameter(parameter_name(key), value, f"workflow setting {key}", targets))
        else:
            expected = f"settings of: {', '.join(sorted(set().union(*parts.values())))}"
            problems.append(loaded.problem("runners.kubeflow.parameters", expected, key))
    if problems:
        raise InputError(problems)
    return parameters


def _weights(loaded: LoadedWorkflow, component: str) -> Iterator[tuple[tuple[str, ...], bool, str]]:
    """Places, in a component's settings, of the files in the feed's folder that features start from."""
    for name, feature in loaded.workflow.features.items():
        for key, path in feature.find_weights(loaded.find).items():
            if path.is_relative_to(loaded.folder):
                below = path.relative_to(loaded.folder).as_posix()
                yield (*_prefix(component), "features", name, key), False, f"{{}}/{below}"


def _prefix(component: str) -> tuple[str, ...]:
    """Where a component keeps its part of the workflow."""
    return ("custom_config", "workflow") if component in ("Trainer", "Transform", "Tuner") else ("workflow",)


def _value(loaded: LoadedWorkflow, key: str) -> Any:
    value: Any = loaded.workflow
    for part in key.split("."):
        value = getattr(value, part, None) if not isinstance(value, dict) else value.get(part)
    return value


def _as_pods_see_it(loaded: LoadedWorkflow) -> LoadedWorkflow:
    """Without what is only here: the label store's snapshot (a run parameter) and the cache of images."""
    workflow = loaded.workflow
    if workflow.images is not None and workflow.images.cache is None:
        images = workflow.images.model_copy(update={"cache": IMAGES})
        workflow = workflow.model_copy(update={"feed": workflow.feed.model_copy(update={"images": images})})
    return LoadedWorkflow(workflow, loaded.path, loaded.folder, loaded.lines)


def _check(loaded: LoadedWorkflow, settings: KubeflowSettings, target: Target) -> None:
    root = settings.pipeline_root
    asked = {"defaults": settings.defaults, **{f"components.{k}": own for k, own in settings.components.items()}}
    for place, resources in asked.items():
        # Kubernetes takes the type as a resource's name, Vertex AI as an accelerator's: the other one's is never there.
        if resources.gpu is not None and ("/" in resources.gpu.type) != (target == "kubeflow"):
            expected = (
                "the name of a Kubernetes resource, such as nvidia.com/gpu"
                if target == "kubeflow"
                else "the name of a Vertex AI accelerator, such as NVIDIA_TESLA_T4"
            )
            raise InputError(loaded.problem(f"runners.kubeflow.{place}.gpu.type", expected, resources.gpu.type))
    if settings.feed is not None:
        _check_files(loaded)
    if target == "vertex" and not (root or "").startswith("gs://"):
        expected = "a gs:// address, as Vertex AI keeps artifacts nowhere else"
        raise InputError(loaded.problem("runners.kubeflow.pipeline_root", expected, root or "null"))
    if target == "kubeflow":
        # The launcher stages artifacts into the pod: nobody outside of it has the paths that Beam is given.
        for component in BEAM_COMPONENTS:
            runner = loaded.workflow.beam.of(component).runner
            if runner not in ("in_process", "multi_process"):
                expected = f"in_process or multi_process ({component}): on Kubeflow artifacts are in the pod alone"
                raise InputError(loaded.problem("beam.runner", expected, runner))


def _check_files(loaded: LoadedWorkflow) -> None:
    """Where the feed's folder is elsewhere for pods: that no file is taken from beside the workflow's own."""
    workflow = loaded.workflow
    named = {"taxonomy.file": workflow.taxonomy.file, "rules.file": workflow.rules.file}
    named |= {f"labels.files[{number}]": name for number, name in enumerate(workflow.labels.files)}
    places = {key: (name, loaded.find(name)) for key, name in named.items() if name is not None}
    for feature, its in workflow.features.items():
        paths = its.find_weights(loaded.find)
        places |= {f"features.{feature}.{key}": (name, paths[key]) for key, name in its.weight_files().items()}
    problems = [
        loaded.problem(key, f"a file in the feed's folder ({loaded.folder}), or a full path as the pods see it", name)
        for key, (name, path) in places.items()
        if not Path(name).is_absolute() and not path.is_relative_to(loaded.folder)
    ]
    if problems:
        raise InputError(problems)
