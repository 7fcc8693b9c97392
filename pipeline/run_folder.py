"""Where runs on this machine keep their things. Light: no TensorFlow."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modules.errors import InputError, Problem
from modules.object_stores import is_remote
from modules.settings.workflow import Workflow
from pipeline.checksums import Checksums


@dataclass(frozen=True)
class RunFolder:
    """``<runners.local.folder>/<workflow name>/`` and what lies in it."""

    path: Path
    metadata_url: str | None = None

    @classmethod
    def of(cls, workflow: Workflow) -> RunFolder:
        """The folder of a workflow's runs; it need not exist yet."""
        local = workflow.runners.local
        return cls(Path(os.path.abspath(local.folder)) / workflow.name, local.metadata)

    @property
    def metadata(self) -> str:
        """ML Metadata: a database URL, or the SQLite file's path."""
        return self.metadata_url or str(self.path / "metadata.sqlite")

    @property
    def root(self) -> Path:
        return self.path / "pipeline"

    @property
    def pushed(self) -> Path:
        return self.path / "pushed"

    @property
    def pushed_indexes(self) -> Path:
        return self.path / "pushed_indexes"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def images(self) -> Path:
        """The cache of product images."""
        return self.path / "images"

    @property
    def encodings(self) -> Path:
        """The cache of texts' vectors."""
        return self.path / "encodings"

    @property
    def publications(self) -> Path:
        """What each target was sent, a file per target."""
        return self.path / "publications"

    @property
    def daily(self) -> Path:
        """What was predicted between runs."""
        return self.path / "daily"

    @property
    def audits(self) -> Path:
        """The audits of what was accepted."""
        return self.path / "audits"

    @property
    def rollback(self) -> Path:
        """Which earlier model is published by in place of the newest one."""
        return self.path / "rollback.json"

    @property
    def sources(self) -> Path:
        """Snapshots of feeds that are no files here, a folder per feed."""
        return self.path / "sources"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    @property
    def temporary(self) -> Path:
        """The file that names the folder of the run's temporary files."""
        return self.path / ".temporary"

    def checksums(self) -> Checksums:
        """What is known of the artifacts' files."""
        return Checksums(self.root, self.path / "checksums")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one run of a workflow at a time: SQLite and the pipeline root are shared between runs.

        Raises:
          InputError: another process holds the lock.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read().strip()
                raise InputError(
                    Problem(
                        str(self.path),
                        f"another run of this workflow is under way (process {holder or 'unknown'})",
                        hint="wait for it, or give this one another name (--set name=...)",
                    )
                ) from None
            handle.seek(0)
            handle.truncate()
            handle.write(str(os.getpid()))
            handle.flush()
            yield


def pushed_models(workflow: Workflow) -> Path | None:
    """Where blessed models go; None: into an object store."""
    return _pushed(workflow.push.folder, RunFolder.of(workflow).pushed)


def pushed_indexes(workflow: Workflow) -> Path | None:
    """Where blessed similarity indexes go; None: into an object store."""
    return _pushed(workflow.push.indexes, RunFolder.of(workflow).pushed_indexes)


def _pushed(given: str | None, default: Path) -> Path | None:
    if given is not None and is_remote(given):
        return None
    return Path(os.path.abspath(given)) if given is not None else default
