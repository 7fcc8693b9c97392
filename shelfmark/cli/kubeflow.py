"""``shelfmark compile`` and ``shelfmark submit``."""

from __future__ import annotations

import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shelfmark.cli.options import FeedOption, SetOption, WorkflowOption, console, load


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
    from shelfmark.runners import base, compile_package
    from shelfmark.runners.kubeflow import sources_for_pods

    loaded = base.checked(sources_for_pods(load(workflow, overrides, feed, products=True), console()))
    started = time.monotonic()
    compile_package(loaded, output, console(), target=target.value)
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
    from shelfmark.runners import KubeflowRunner, start

    address = endpoint or os.environ.get(connection.ENDPOINT)
    if not address:
        hint = f"for example http://localhost:8080, or the environment variable {connection.ENDPOINT}"
        raise InputError(Problem("--endpoint", "the address of Kubeflow Pipelines' API server", hint=hint))
    if cron is not None and (wait or len(cron.split()) != 6):
        expected = "no --wait beside it" if wait else 'six fields, seconds first: "0 0 3 * * *" is three at night'
        raise InputError(Problem("--cron", expected, value=cron))
    try:
        session = connection.ClusterSession(address, connection.Credentials.find(token, cookie))
        runner = KubeflowRunner(
            session, package, parameters or (), experiment, namespace, cron, every if wait else None
        )
        ended = start(load(workflow, overrides, feed, products=True), runner, console())
    except connection.ClusterError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if not ended:
        raise typer.Exit(1)
