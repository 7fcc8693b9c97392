"""``shelfmark compile`` and ``shelfmark submit``."""

from __future__ import annotations

import datetime
import os
import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfmark.cli.options import FeedOption, SetOption, WorkflowOption, console, load

if TYPE_CHECKING:
    from pipeline.workflow_file import LoadedWorkflow


class Target(StrEnum):
    """Where the package is to run."""

    kubeflow = "kubeflow"
    vertex = "vertex"


def compile(
    workflow: WorkflowOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The package.")] = Path(
        "pipeline.yaml"
    ),
    target: Annotated[Target, typer.Option("--target", help="Open-source Kubeflow or Vertex AI.")] = Target.kubeflow,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """Compile a workflow for Kubeflow Pipelines (YAML) or Vertex AI (JSON)."""
    loaded = _checked(workflow, overrides, feed)
    started = time.monotonic()
    _compile(loaded, output, target)
    seconds, size = time.monotonic() - started, output.stat().st_size
    console().print(f"{output}: {size / 1024:,.0f} KiB, compiled in {seconds:.1f} s", soft_wrap=True)


def submit(
    workflow: WorkflowOption = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="URL", help="The API server; or SHELFMARK_KUBEFLOW_ENDPOINT.")
    ] = None,
    package: Annotated[
        Path | None, typer.Option("--package", metavar="FILE", help="A compiled package, in place of compiling now.")
    ] = None,
    experiment: Annotated[str, typer.Option("--experiment", help="Made if there is none.")] = "Default",
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="The profile's, in clusters of several users.")
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A run parameter; may be repeated."),
    ] = None,
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="EXPRESSION", help="Six fields (seconds first): run on a schedule.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the run's end and show its steps.")] = False,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.01, help="How often --wait looks.")
    ] = 10.0,
    token: Annotated[
        str | None, typer.Option("--token", help="Better: SHELFMARK_KUBEFLOW_TOKEN, which no process list shows.")
    ] = None,
    cookie: Annotated[str | None, typer.Option("--cookie", help="Of Dex; better: SHELFMARK_KUBEFLOW_COOKIE.")] = None,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """Upload a workflow to Kubeflow Pipelines, and run it once or on a schedule."""
    from modules.errors import InputError, Problem
    from pipeline.kubeflow.client import session as connection

    address = endpoint or os.environ.get(connection.ENDPOINT)
    if not address:
        hint = f"for example http://localhost:8080, or the environment variable {connection.ENDPOINT}"
        raise InputError(Problem("--endpoint", "the address of Kubeflow Pipelines' API server", hint=hint))
    if cron is not None and (wait or len(cron.split()) != 6):
        expected = "no --wait beside it" if wait else 'six fields, seconds first: "0 0 3 * * *" is three at night'
        raise InputError(Problem("--cron", expected, value=cron))
    loaded = _checked(workflow, overrides, feed)
    with tempfile.TemporaryDirectory() as folder:
        file = package or Path(folder) / "pipeline.yaml"
        if package is None:
            _compile(loaded, file, Target.kubeflow)
        values = _values(file, parameters or [], loaded)
        try:
            session = connection.Session(address, connection.Credentials.find(token, cookie))
            ended = _submit(session, file, loaded, values, experiment, namespace, cron, every if wait else None)
        except connection.ClusterError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(1) from None
    if not ended:
        raise typer.Exit(1)


def _submit(
    session: Any,
    file: Path,
    loaded: LoadedWorkflow,
    values: dict[str, Any],
    experiment: str,
    namespace: str | None,
    cron: str | None,
    every: float | None,
) -> bool:
    """Whether all went well, as far as is known."""
    from pipeline.kubeflow.client import submit as client

    settings, name = loaded.workflow.runners.kubeflow, loaded.workflow.name
    version = f"{name}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S-%f}"
    asked = client.Submission(
        name, version, version, experiment, namespace, values, settings.pipeline_root, settings.service_account
    )
    shown = console()
    uploaded = client.upload(session, file, asked)
    shown.print(f"uploaded {version} ({uploaded.version})", soft_wrap=True)
    where = client.experiment_id(session, asked)
    if cron is not None:
        shown.print(f"scheduled {client.schedule(session, uploaded, where, asked, cron)}: {cron}", soft_wrap=True)
        return True
    run = client.start(session, uploaded, where, asked)
    shown.print(f"started run {run}: {session.endpoint}/#/runs/details/{run}", soft_wrap=True)
    if every is None:
        return True
    started = time.monotonic()

    def told(component: str, state: str) -> None:
        shown.print(f"{component:<34} {state.lower():<10} {time.monotonic() - started:7.1f} s", soft_wrap=True)

    state, error = client.wait(session, run, told, every)
    shown.print(f"run {run} {state.lower()}" + (f": {error}" if error else ""), soft_wrap=True)
    return state == "SUCCEEDED"


def _checked(workflow: Path | None, overrides: list[str] | None, feed: Path | None) -> LoadedWorkflow:
    from modules.errors import InputError
    from pipeline.validate import check

    loaded = load(workflow, overrides, feed, products=True)
    report = check(loaded)
    if report.problems:
        raise InputError(report.problems)
    return loaded


def _compile(loaded: LoadedWorkflow, output: Path, target: Target) -> None:
    from pipeline.quiet import everything_else_to

    with open(os.devnull, "w") as nowhere, everything_else_to(nowhere, console()):
        from pipeline.kubeflow.compiler import compile_workflow

        compile_workflow(loaded, output, target=target.value)


def _values(package: Path, given: list[str], loaded: LoadedWorkflow) -> dict[str, Any]:
    """The run's parameters, each of the type that the package declares and within the limits of the workflow's setting.

    Raises:
      InputError: no package, an unknown parameter, or a value that the run could not take.
    """
    from pipeline.kubeflow.values import run_values

    return run_values(package, given, loaded.workflow)
