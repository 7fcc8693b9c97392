"""The four things that a container can be asked to do."""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
from collections.abc import Sequence
from typing import Any

from pipeline.kubeflow.container.invocation import FOUND, NOTHING, Invocation, read_output, write_output
from pipeline.kubeflow.presentation import SCALARS, add_scalars

_RUN_EXECUTOR = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"


def run_task(arguments: Sequence[str]) -> None:
    """Runs ``execute``, ``fingerprint``, ``last-blessed`` or ``report``; what ``execute`` does not know is for Beam.

    Raises:
      InputError: a component's own, for people.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline.kubeflow.container", allow_abbrev=False)
    parser.add_argument("task", choices=["execute", "fingerprint", "last-blessed", "report"])
    parser.add_argument("--executor_class_path")
    parser.add_argument("--driver_class_path", help="of a driver that fingerprints files")
    parser.add_argument("--driver_module", help="TFX's driver of a file-based example generator")
    parser.add_argument("--json_serialized_invocation_args", required=True, help="the ExecutorInput")
    parser.add_argument("--json_serialized_inputs_spec_args", help="the component's input definitions")
    parser.add_argument("--overrides", help="places of run parameters")
    parser.add_argument("--scalars", help="the output whose numbers Kubeflow's pages show")
    parser.add_argument("--metadata", help="host:port of ML Metadata, or its grpcs:// address")
    parser.add_argument("--artifacts_api", help="address of an API server that has the artifacts API")
    parser.add_argument("--workflow", help="JSON with the workflow's name and objectives")
    options, beam = parser.parse_known_args(arguments)
    invocation = Invocation.of(options)
    if options.task == "execute":
        _execute(invocation, options, beam)
    elif options.task == "fingerprint":
        _fingerprint(invocation, options.driver_class_path)
    elif options.task == "last-blessed":
        _last_blessed(invocation, options)
    else:
        _report(invocation, options.workflow)


def _execute(invocation: Invocation, options: argparse.Namespace, beam: list[str]) -> None:
    # First of TFX: it mends what TFX and its neighbours miss of each other.
    from tfx import components as _components  # noqa: F401

    invocation.require_addresses()
    invocation.prepare_outputs()
    if options.driver_module:
        _run_module(options.driver_module, invocation)
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    text, spec = json.dumps(invocation.input), json.dumps(invocation.spec)
    namespace = argparse.Namespace(
        executor_class_path=options.executor_class_path,
        json_serialized_invocation_args=text,
        json_serialized_inputs_spec_args=spec if invocation.spec else None,
    )
    kubeflow_v2_run_executor.main((namespace, beam))
    output = read_output(invocation)
    if options.scalars:
        add_scalars(output, options.scalars, invocation.own[SCALARS]["artifacts"][0])
    write_output(invocation, output)


def _run_module(module: str, invocation: Invocation) -> None:
    """A driver that is a program of its own: its output file is read by TFX's entrypoint afterwards."""
    arguments = ["--json_serialized_invocation_args", json.dumps(invocation.input)]
    if invocation.spec:
        arguments += ["--json_serialized_inputs_spec_args", json.dumps(invocation.spec)]
    before, sys.argv = sys.argv, [module, *arguments]
    os.makedirs(os.path.dirname(invocation.output_file), exist_ok=True)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as left:
        if left.code:
            raise RuntimeError(f"the driver {module} ended with exit code {left.code}") from left
    finally:
        sys.argv = before


def _fingerprint(invocation: Invocation, driver_class_path: str) -> None:
    from tfx import components as _components  # noqa: F401
    from tfx.orchestration.portable.data_types import ExecutionInfo
    from tfx.utils import import_utils

    driver = import_utils.import_class_by_path(driver_class_path)(None)
    output = driver.run(ExecutionInfo(exec_properties=invocation.properties()))
    _write_parameter(invocation, "fingerprint", output.exec_properties["fingerprint"].string_value)


def _last_blessed(invocation: Invocation, options: argparse.Namespace) -> None:
    from pipeline.kubeflow.container.blessed.choice import blessed_models

    models = blessed_models(metadata=options.metadata, artifacts_api=options.artifacts_api)
    model = models.last(str(invocation.parameters["run"]))
    note = invocation.own["note"]["artifacts"][0]
    folder = invocation.staging.local(note["uri"])
    # Written in both cases: the launcher of 3.0 refuses a step that leaves a declared output out.
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, FOUND if model else NOTHING), "w", encoding="utf-8") as file:
        file.write(f"{model}\n" if model else "no model of this pipeline was ever blessed\n")
    print(f"last blessed model: {model or 'none'}", flush=True)
    _write_parameter(invocation, "uri", model or note["uri"])


def _report(invocation: Invocation, workflow: str) -> None:
    from pipeline.kubeflow.container.report import make_report

    make_report(invocation, workflow)


def _write_parameter(invocation: Invocation, name: str, value: Any) -> None:
    path = invocation.input["outputs"]["parameters"][name]["outputFile"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(str(value))
