"""A cluster with Kubeflow Pipelines."""

from __future__ import annotations

import datetime
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.kubeflow.client.session import ClusterSession
    from pipeline.workflow_file import LoadedWorkflow

SNAPSHOT = "label_snapshot"
"""The run parameter that names the folder of a label store's snapshot."""


def sources_for_pods(loaded: LoadedWorkflow, console: Console) -> LoadedWorkflow:
    """Takes a snapshot of each source where pods see the feed's folder.

    Raises:
      InputError: a source gives no feed, or snapshots lie outside of the feed's folder.
    """
    from modules.errors import InputError
    from pipeline.run_folder import RunFolder
    from pipeline.sources import take_sources

    if any(feed.source is not None for feed in loaded.workflow.sources):
        run_folder = RunFolder.of(loaded.workflow).path
        if not run_folder.is_relative_to(loaded.folder):
            expected = (
                f"expected a folder below the feed's ({loaded.folder}), which pods see, for the sources' snapshots"
            )
            hint = "or put the feed there as files, and name them in place of the source"
            raise InputError(
                loaded.problem("runners.local.folder", expected, loaded.workflow.runners.local.folder, hint)
            )
    return take_sources(loaded, console)


def compile_package(
    loaded: LoadedWorkflow, output: Path, console: Console, *, target: Literal["kubeflow", "vertex"] = "kubeflow"
) -> None:
    """Writes the package of a workflow that was checked.

    Args:
      loaded: the workflow.
      output: the package file to write.
      console: where it is said what was written.
      target: ``kubeflow`` or ``vertex``.

    Raises:
      InputError: the workflow cannot run there, or the file cannot be written.
    """
    from pipeline.quiet import everything_else_to

    with open(os.devnull, "w") as nowhere, everything_else_to(nowhere, console):
        from pipeline.kubeflow.compiler import compile_workflow

        compile_workflow(loaded, output, target=target)


@dataclass(frozen=True)
class KubeflowRunner:
    """Uploads a workflow's package, and starts it once or on a schedule.

    Attributes:
      session: of the API server.
      package: a compiled one; None: the workflow is compiled.
      parameters: ``NAME=VALUE`` texts.
      experiment: made if there is none. namespace: the profile's, in clusters of several users.
      cron: six fields, seconds first; None: run once.
      every: seconds between looks at the run until it has ended; None: do not wait.
    """

    session: ClusterSession
    package: Path | None = None
    parameters: Sequence[str] = ()
    experiment: str = "Default"
    namespace: str | None = None
    cron: str | None = None
    every: float | None = None

    def with_sources(self, loaded: LoadedWorkflow, console: Console) -> LoadedWorkflow:
        """See :func:`sources_for_pods`; nothing for a package that was compiled before.

        Raises:
          InputError: as there; and on a schedule, since each of its runs would read the snapshot of now.
        """
        if self.package is not None:
            return loaded
        if self.cron is not None and any(feed.source is not None for feed in loaded.workflow.sources):
            from modules.errors import InputError, Problem

            expected = "expected a feed of files: each run of the schedule would read the source's snapshot of now"
            hint = "schedule `shelfmark submit` itself on a machine that sees the source"
            raise InputError(Problem("", expected, key="--cron", value=self.cron, hint=hint))
        return sources_for_pods(loaded, console)

    def with_labels(self, loaded: LoadedWorkflow, console: Console) -> LoadedWorkflow:
        """See :class:`shelfmark.runners.base.Runner`: the cluster reads a snapshot that lies where it can reach it."""
        given = [text.partition("=")[2] for text in self.parameters if text.partition("=")[0] == SNAPSHOT]
        if loaded.workflow.labels.store is not None and not any(given):
            from modules.errors import InputError

            expected = f"expected a snapshot beside it, which the cluster reads: --parameter {SNAPSHOT}=FOLDER"
            hint = (
                "write one to where the cluster can read it (shelfmark label snapshot --output FOLDER), "
                "or run without the store's labels: --set labels.store=null"
            )
            raise InputError(loaded.problem("labels.store", expected, hint=hint))
        return loaded

    def run(self, loaded: LoadedWorkflow, console: Console) -> bool:
        """See :class:`shelfmark.runners.base.Runner`.

        Raises:
          InputError: the package or a parameter is wrong. ClusterError: the cluster refuses it or cannot be reached.
        """
        from pipeline.kubeflow.values import run_values

        with tempfile.TemporaryDirectory() as folder:
            file = self.package or Path(folder) / "pipeline.yaml"
            if self.package is None:
                compile_package(loaded, file, console)
            return self._submit(loaded, file, run_values(file, list(self.parameters), loaded.workflow), console)

    def _submit(self, loaded: LoadedWorkflow, file: Path, values: dict[str, Any], console: Console) -> bool:
        from pipeline.kubeflow.client import submit as client

        settings, name, session = loaded.workflow.runners.kubeflow, loaded.workflow.name, self.session
        version = f"{name}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S-%f}"
        asked = client.Submission(
            name, version, version, self.experiment, self.namespace, values, settings.pipeline_root,
            settings.service_account,
        )  # fmt: skip
        uploaded = client.upload(session, file, asked)
        console.print(f"uploaded {version} ({uploaded.version})", soft_wrap=True)
        where = client.experiment_id(session, asked)
        if self.cron is not None:
            schedule = client.schedule(session, uploaded, where, asked, self.cron)
            console.print(f"scheduled {schedule}: {self.cron}", soft_wrap=True)
            return True
        run = client.start(session, uploaded, where, asked)
        console.print(f"started run {run}: {session.endpoint}/#/runs/details/{run}", soft_wrap=True)
        return True if self.every is None else self._wait(run, self.every, console)

    def _wait(self, run: str, every: float, console: Console) -> bool:
        from pipeline.kubeflow.client import submit as client

        started = time.monotonic()

        def tell(component: str, state: str) -> None:
            console.print(f"{component:<34} {state.lower():<10} {time.monotonic() - started:7.1f} s", soft_wrap=True)

        state, error = client.wait(self.session, run, tell, every)
        console.print(f"run {run} {state.lower()}" + (f": {error}" if error else ""), soft_wrap=True)
        return state == "SUCCEEDED"
