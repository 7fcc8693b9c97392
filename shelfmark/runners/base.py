"""The one way to start a run, whichever machine it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.workflow_file import LoadedWorkflow


class Runner(Protocol):
    """A place where a workflow runs."""

    def with_sources(self, loaded: LoadedWorkflow, console: Console) -> LoadedWorkflow:
        """Takes a snapshot of each feed that is no file here; see :func:`pipeline.sources.take_sources`.

        Raises:
          InputError: a source gives no feed, or the run could not see the snapshot.
        """

    def with_labels(self, loaded: LoadedWorkflow, console: Console) -> LoadedWorkflow:
        """The workflow with the labels of its store, as a snapshot: annotators work on while it runs.

        Raises:
          InputError: the store cannot be read, or the run could not see its labels.
        """

    def run(self, loaded: LoadedWorkflow, console: Console) -> bool:
        """Runs a workflow that was checked, or hands it over.

        Returns:
          Whether all went well, as far as is known when it returns.
        """


def checked(loaded: LoadedWorkflow) -> LoadedWorkflow:
    """The workflow, compared with the files that it names.

    Raises:
      InputError: what is wrong with it.
    """
    from modules.errors import InputError
    from pipeline.validate import check

    report = check(loaded)
    if report.problems:
        raise InputError(report.problems)
    return loaded


def start(loaded: LoadedWorkflow, runner: Runner, console: Console) -> bool:
    """Takes the snapshots of sources and of the label store, checks the workflow with them, and starts the run.

    ``shelfmark run``, ``shelfmark submit`` and programs call this::

        from rich.console import Console
        from pipeline.workflow_file import load_workflow
        from shelfmark.runners import LocalRunner, start

        start(load_workflow("my-shop.yaml"), LocalRunner(), Console())

    Args:
      loaded: the workflow.
      runner: where the run takes place.
      console: where progress and the summary go.

    Returns:
      Whether all went well, as far as is known when it returns.

    Raises:
      InputError: what is wrong with the workflow, its files, its sources or its label store. Nothing was started.
    """
    return runner.run(checked(runner.with_labels(runner.with_sources(loaded, console), console)), console)
