"""Small TFX components and pipelines, each with one thing that Kubeflow has trouble with."""

import json
import os
from typing import Any

from tfx import components as _components  # noqa: F401  (first of TFX)
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_component, base_driver, base_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Integer, Model, ModelBlessing

from components.artifact_types import Quarantine


@component
def Make(model: OutputArtifact[Model], text: Parameter[str] = "a model"):
    """Writes a file; notes where."""
    with fileio.open(os.path.join(model.uri, "text.txt"), "w") as file:
        file.write(text)
    model.set_string_custom_property("written_to", model.uri)
    model.set_int_custom_property("letters", len(text))


@component
def Copy(model: InputArtifact[Model], copy: OutputArtifact[Quarantine]):
    """Reads what Make wrote; the output is of a type that TFX does not have."""
    with fileio.open(os.path.join(model.uri, "text.txt")) as file:
        text = file.read()
    assert len(text) == model.get_int_custom_property("letters")
    with fileio.open(os.path.join(copy.uri, "copy.txt"), "w") as file:
        file.write(text)
    copy.set_string_custom_property("source", model.get_string_custom_property("written_to"))


@component
def Bless(model: InputArtifact[Model], blessing: OutputArtifact[ModelBlessing]):
    """Blesses every model."""
    with fileio.open(os.path.join(blessing.uri, "BLESSED"), "w") as file:
        file.write("")
    blessing.set_int_custom_property("blessed", 1)
    blessing.set_string_custom_property("current_model", model.uri)


@component
def Leave(model: OutputArtifact[Model]):
    """Leaves a property without a value."""
    model.mlmd_artifact.custom_properties["nothing"].SetInParent()
    model.set_string_custom_property("something", "here")


@component
def Flaky(model: OutputArtifact[Model]):
    """Fails until there is a file ``go`` in its folder, or an environment variable says so."""
    if not os.path.exists("go") and os.environ.get("LUCKY") != "yes":
        raise RuntimeError("not this time")
    assert not fileio.exists(os.path.join(model.uri, "stale"))


@component
def Count(number: OutputArtifact[Integer]):
    """A value artifact: a file, no folder."""
    number.value = 42


class _PlusOneSpec(ComponentSpec):
    PARAMETERS = {"number": ExecutionParameter(type=int)}
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {"result": ChannelParameter(type=Integer)}


class PlusOneExecutor(base_executor.BaseExecutor):
    """One more."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        output_dict["result"][0].write(exec_properties["number"] + 1)


class PlusOne(base_component.BaseComponent):
    """Takes its number from another component's output."""

    SPEC_CLASS = _PlusOneSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(PlusOneExecutor)

    def __init__(self, number: Any):
        super().__init__(_PlusOneSpec(number=number, result=types.Channel(type=Integer)))


class _CompareSpec(ComponentSpec):
    PARAMETERS: dict[str, Any] = {}
    INPUTS = {"model": ChannelParameter(type=Model), "before": ChannelParameter(type=Model, optional=True)}
    OUTPUTS = {"result": ChannelParameter(type=Quarantine)}


class CompareExecutor(base_executor.BaseExecutor):
    """Says what the last blessed model was."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        before = input_dict.get("before") or []
        text = "none"
        if before:
            with fileio.open(os.path.join(before[0].uri, "text.txt")) as file:
                text = file.read()
        output_dict["result"][0].set_string_custom_property("before", text)


class Compare(base_component.BaseComponent):
    """Compares a model with one that need not be there."""

    SPEC_CLASS = _CompareSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(CompareExecutor)

    def __init__(self, model: Any, before: Any):
        super().__init__(_CompareSpec(model=model, before=before, result=types.Channel(type=Quarantine)))


class _ReadSpec(ComponentSpec):
    PARAMETERS = {
        "file": ExecutionParameter(type=str),
        "settings": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}


class ReadDriver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """The file's content is part of the cache key."""

    def __init__(self, metadata_handle: Any):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: Any) -> Any:
        output = driver_output_pb2.DriverOutput()
        with open(execution_info.exec_properties["file"]) as file:
            output.exec_properties["fingerprint"].string_value = str(hash(file.read()))
        return output


class ReadExecutor(base_executor.BaseExecutor):
    """Says what it read, and with which settings."""

    def Do(self, input_dict: Any, output_dict: Any, exec_properties: Any) -> None:
        examples = output_dict["examples"][0]
        with open(exec_properties["file"]) as file:
            examples.set_string_custom_property("text", file.read())
        for name, value in json.loads(exec_properties["settings"]).items():
            examples.set_string_custom_property(name, json.dumps(value))
        examples.split_names = '["train"]'
        examples.span = 7


class Read(base_component.BaseComponent):
    """Reads a file that is no artifact."""

    SPEC_CLASS = _ReadSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ReadExecutor)
    DRIVER_CLASS = ReadDriver

    def __init__(self, file: str, settings: str = "{}"):
        examples = types.Channel(type=standard_artifacts.Examples)
        super().__init__(_ReadSpec(file=file, settings=settings, fingerprint="", examples=examples))


def pipeline(*nodes: Any, cache: bool = True) -> Pipeline:
    """A pipeline of these components."""
    return Pipeline(pipeline_name="toy", pipeline_root="minio://mlpipeline", components=list(nodes), enable_cache=cache)
