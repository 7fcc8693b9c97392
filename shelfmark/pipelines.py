"""The TFX pipeline object of a workflow, for notebooks, other runners and TFX's own command line.

    from shelfmark.pipelines import local_pipeline
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    LocalDagRunner().run(local_pipeline("shop/shop.yaml", ["training.epochs=5"]))

TFX's runner neither takes the run folder's lock nor compares artifacts with their checksums, and it prints no summary:
``shelfmark run`` does. Nothing here is imported before it is asked for, so that the runner files start at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from pipeline.workflow_file import LoadedWorkflow


def local_pipeline(
    workflow: str | Path | None = None, overrides: Sequence[str] = (), feed: str | Path | None = None
) -> Pipeline:
    """The pipeline that ``shelfmark run`` runs, with the run folder and the database of ML Metadata of that command.

    Args:
      workflow: the workflow file; None: the demo, whose catalogue is written if it is not there.
      overrides: ``key.path=value`` texts, as ``--set`` takes them.
      feed: the folder with the feed's files, in place of the workflow's.

    Returns:
      A ``tfx.orchestration.pipeline.Pipeline`` that can be run on this machine.

    Raises:
      InputError: the workflow, or a file that it names, has mistakes.
    """
    loaded = _checked(workflow, overrides, feed, labels=True)
    from pipeline.compiled import local_pipeline as built
    from pipeline.run_folder import RunFolder

    return built(loaded, RunFolder.of(loaded.workflow))


def kubeflow_pipeline(
    workflow: str | Path | None = None, overrides: Sequence[str] = (), feed: str | Path | None = None
) -> Pipeline:
    """The pipeline that ``shelfmark compile`` compiles, before the package is mended for Kubeflow.

    Arguments and errors are those of ``local_pipeline``. The schema that the package embeds lies in the run folder.
    """
    loaded = _checked(workflow, overrides, feed)
    from pipeline.kubeflow.compiler import pods_pipeline
    from pipeline.run_folder import RunFolder

    return pods_pipeline(loaded, RunFolder.of(loaded.workflow).path / "schema")


def loaded_by_tfx() -> bool:
    """Whether TFX's command line runs the caller's file to learn of its pipeline.

    ``tfx pipeline create`` runs the file as ``__main__`` without arguments and takes the pipeline that a TFX runner is
    given. ``tfx run create`` starts the file in a process of its own, where this is False.
    """
    return "tfx.tools.cli.handler.base_handler" in sys.modules


def hand_local_to_tfx(
    workflow: str | Path | None = None, overrides: Sequence[str] = (), feed: str | Path | None = None
) -> None:
    """Gives a pipeline to the runner that ``tfx pipeline create --engine local`` watches; nothing is run.

    Arguments and errors are those of ``local_pipeline``.
    """
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    LocalDagRunner().run(local_pipeline(workflow, overrides, feed))


def hand_package_to_tfx(
    workflow: str | Path | None = None, overrides: Sequence[str] = (), feed: str | Path | None = None
) -> None:
    """Gives a pipeline to ``tfx pipeline create --engine vertex``, and writes the package where that command wants it.

    Arguments are those of ``local_pipeline``.

    Raises:
      InputError: the workflow has mistakes, or ``runners.kubeflow.pipeline_root`` is no ``gs://`` address.
    """
    loaded = _checked(workflow, overrides, feed)
    from pipeline.kubeflow.tfx_runner import PackageRunner

    PackageRunner(loaded).run(kubeflow_pipeline(workflow, overrides, feed))


def _checked(
    workflow: str | Path | None, overrides: Sequence[str], feed: str | Path | None, *, labels: bool = False
) -> LoadedWorkflow:
    from modules.paths import near
    from pipeline.workflow_file import DEMO_WORKFLOW
    from shelfmark.cli.options import console, load
    from shelfmark.runners.base import checked
    from shelfmark.runners.kubeflow import sources_for_pods
    from shelfmark.runners.local import LocalRunner

    file = Path(near(DEMO_WORKFLOW) if workflow is None else workflow)
    loaded = load(file, list(overrides), None if feed is None else Path(feed), products=True)
    runner, screen = LocalRunner(), console(stderr=True)
    loaded = runner.with_sources(loaded, screen) if labels else sources_for_pods(loaded, screen)
    return checked(runner.with_labels(loaded, screen) if labels else loaded)
