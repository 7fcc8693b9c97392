"""This machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modules.counting import counted

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.workflow_file import LoadedWorkflow

SNAPSHOTS = "labels"
"""Folder in a workflow's run folder."""


@dataclass(frozen=True)
class LocalRunner:
    """Runs a workflow in this process.

    Attributes:
      to: the last component to run; None: all.
      from_: the first component to run, on the last run's results; None: all.
      cache: take a component's results from an earlier run if its inputs and settings are the same.
      last_snapshot: read the sources' last snapshots, and ask no source.
    """

    to: str | None = None
    from_: str | None = None
    cache: bool = True
    last_snapshot: bool = False

    def with_sources(self, loaded: LoadedWorkflow, console: Console) -> LoadedWorkflow:
        """See :class:`shelfmark.runners.base.Runner`."""
        from pipeline.sources import take_sources

        return take_sources(loaded, console, last=self.last_snapshot)

    def with_labels(self, loaded: LoadedWorkflow, console: Console) -> LoadedWorkflow:
        """See :class:`shelfmark.runners.base.Runner`; a SQLite file that is not there yet is an empty store."""
        place = loaded.label_store
        if place is None:
            return loaded
        from labelling.store import Store
        from labelling.store.database import store_url
        from labelling.store.snapshot import take_snapshot
        from modules.errors import InputError
        from pipeline.run_folder import RunFolder

        try:
            url = store_url(place)
        except InputError as error:
            problem = error.problems[0]
            raise InputError(loaded.problem("labels.store", problem.expected, problem.value)) from None
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            console.print(f"labels: no store at {url.database} yet", soft_wrap=True)
            return loaded
        folder = Path(RunFolder.of(loaded.workflow).path) / SNAPSHOTS
        with Store(place, create=False) as store:
            snapshot = take_snapshot(store, folder, list(loaded.workflow.objectives))
            name = store.name
        console.print(
            f"labels: {counted(snapshot.labels, 'row')} and {snapshot.queued:,} queued of {name}", soft_wrap=True
        )
        return replace(loaded, snapshot=snapshot.folder)

    def run(self, loaded: LoadedWorkflow, console: Console) -> bool:
        """See :class:`shelfmark.runners.base.Runner`."""
        from pipeline import local

        return not local.run(loaded, to=self.to, from_=self.from_, cache=self.cache, console=console).failed
