"""Runs a workflow on this machine: Beam in process, ML Metadata in SQLite (or a database by URL)."""

from __future__ import annotations

import datetime
import errno
import os
import shlex
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components import job_servers
from modules.errors import InputError, Problem, reason
from modules.features import image_feature
from modules.paths import near
from pipeline.checksums import DamagedArtifact
from pipeline.quiet import everything_else_to
from pipeline.run_folder import RunFolder
from pipeline.steps import RunProgress, StepResult
from pipeline.temporary import temporary_files
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class RunResult:
    """The result of a run.

    Attributes:
      run_id: its name in ML Metadata.
      steps: the components in the order they ran.
      folder: where everything lies. log: this run's log file. report: the HTML report, if one was written.
      error: why it failed, for people.
    """

    run_id: str
    folder: RunFolder
    log: Path
    steps: list[StepResult] = field(default_factory=list)
    seconds: float = 0.0
    report: Path | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None


def run(
    loaded: LoadedWorkflow,
    *,
    console: Console,
    to: str | None = None,
    from_: str | None = None,
    cache: bool = True,
) -> RunResult:
    """Runs the workflow, or the part of it between two components.

    Args:
      to: the last component to run.
      from_: the first one; what lies before is taken from the last run.
      cache: take a component's results from an earlier run if its inputs and settings are the same.

    Raises:
      InputError: an unknown component, or another run of this workflow is under way.
    """
    folder = RunFolder.of(loaded.workflow)
    run_id = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]
    with folder.locked():
        for part in (folder.logs, folder.reports, folder.root):
            part.mkdir(parents=True, exist_ok=True)
        if image_feature(loaded.workflow.features) is not None:
            # Off by default on processors without AVX-512, where convolutions take nearly twice as long without it.
            os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        result = RunResult(run_id, folder, folder.logs / f"{run_id}.log")
        started = time.monotonic()
        again = resume_command(sys.argv[1:])
        with (
            result.log.open("a", buffering=1) as log,
            everything_else_to(log, console),
            temporary_files(folder.temporary),
        ):
            try:
                _run(loaded, result, console, to, from_, cache)
            except KeyboardInterrupt:
                if result.steps:
                    _cancel(loaded, result)
                result.error = "stopped"
            except InputError as error:
                if not result.steps:
                    raise
                log.write(traceback.format_exc())
                result.error = str(error)
                if isinstance(error, DamagedArtifact):
                    again = resume_command(without_from(sys.argv[1:]))
            except Exception as error:
                log.write(traceback.format_exc())
                result.error = _sentence(result, error)
            finally:
                job_servers.stop()
        result.seconds = time.monotonic() - started
        if result.failed:
            console.print(f"\n{result.error}", soft_wrap=True)
            console.print(f"log: {near(result.log)}", soft_wrap=True)
            console.print("what is done is kept; to go on from there:")
            console.print(f"  {again}", soft_wrap=True)
        return result


def resume_command(arguments: list[str]) -> str:
    """The command that was given: components that are done are taken from the cache."""
    return shlex.join(["shelfmark", *(arguments if arguments[:1] == ["run"] else ["run", *arguments])])


def without_from(arguments: list[str]) -> list[str]:
    """The arguments, but not ``--from NAME``: what lies before is made again then."""
    pairs = zip(["", *arguments], arguments, strict=False)
    return [
        argument
        for before, argument in pairs
        if "--from" not in (before, argument) and not argument.startswith("--from=")
    ]


def _run(
    loaded: LoadedWorkflow, result: RunResult, console: Console, to: str | None, from_: str | None, cache: bool
) -> None:
    with RunProgress(console) as progress:
        progress.start("ML Metadata")
        from components.class_metrics.store import open_store
        from pipeline import leftovers

        # The message about a damaged database names the command that was given.
        open_store(result.folder.metadata, write=True, run_command=loaded.run_command)
        cleared = leftovers.clear(result.folder, loaded.workflow.name)
        progress.clear()
        if cleared:
            console.print(cleared, soft_wrap=True)
        progress.start("TensorFlow and TFX")
        from pipeline.compiled import compile_local, launch_nodes

        progress.clear()
        pipeline, nodes = compile_local(loaded, result.folder, result.run_id, cache=cache)
        _check_components(nodes, to, from_)
        for step in launch_nodes(pipeline, progress, result.folder.checksums(), to=to, from_=from_):
            result.steps.append(step)
    if to is None:
        from pipeline.summary import summarise

        result.report = summarise(loaded, result, console)
        if loaded.workflow.runners.local.retention is not None:
            from pipeline.clean import clean_folder

            clean_folder(loaded, loaded.workflow.runners.local.retention, console, short=True)


def _check_components(nodes: list[str], *names: str | None) -> None:
    from modules.taxonomy.documents import did_you_mean

    for option, name in zip(("--to", "--from"), names, strict=True):
        if name is not None and name not in nodes:
            expected = f"one of: {', '.join(nodes)}"
            raise InputError(Problem(option, expected, value=name, hint=did_you_mean(name, nodes)))


def _sentence(result: RunResult, error: BaseException) -> str:
    """Which component failed, and why; of errors that led to one another, what somebody can mend comes first."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, InputError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            place = f"{cause.filename}: " if cause.filename else ""
            return f"{place}the disk is full; make room; the same command helps then"
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    failed = [step.component for step in result.steps if step.state == "failed"]
    return f"{failed[-1] if failed else 'the run'} failed: {reason(error, 2000, file=True)}"


def _cancel(loaded: LoadedWorkflow, result: RunResult) -> None:
    """Marks what was under way as cancelled, so that nothing in ML Metadata claims to be running."""
    from pipeline import leftovers

    leftovers.cancel(result.folder, loaded.workflow.name)
