"""A source's content as files: one per content, named after its bytes, so that a run repeats."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from modules.errors import InputError, Problem, reason
from modules.feeds.sources.base import SourceSettings
from modules.locks import lock

KEPT = 3
"""Snapshots of a source that are kept, the newest: a run that is under way may read the one before."""
LAST = "last.json"
_PARTIAL = ".partial"


class Snapshot(BaseModel):
    """The last content of a source.

    Attributes:
      file: its name in the folder. bytes: its size.
      checked: when the source last had this content.
      source: a digest of the settings and the title of the source that it is of; they hold no secret.
      validators: see :class:`modules.feeds.sources.base.Fetched`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    bytes: int
    checked: datetime.datetime
    source: str
    validators: dict[str, str]

    @property
    def when(self) -> str:
        """The day and minute, for people."""
        return f"{self.checked.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


class Taken(NamedTuple):
    """A snapshot, and whether its content is another one than that of the last one."""

    snapshot: Snapshot
    is_new: bool


def last_snapshot(folder: Path) -> Snapshot | None:
    """The last snapshot in a source's folder; None: there is none, or its file is gone or cut."""
    try:
        snapshot = Snapshot.model_validate_json((folder / LAST).read_bytes())
        whole = (folder / snapshot.file).stat().st_size == snapshot.bytes
    except (OSError, ValidationError):
        return None
    return snapshot if whole and Path(snapshot.file).name == snapshot.file else None


def take_snapshot(source: SourceSettings, folder: Path) -> Taken:
    """Asks the source, and keeps what it gives; after an error the last snapshot stays as it was.

    Args:
      folder: the source's own; made where missing.

    Raises:
      InputError: the settings cannot be used, the folder cannot be written to, or another process takes a snapshot.
      Away: the source does not give its content.
    """
    try:
        held = lock(folder / ".lock")
    except OSError as error:
        raise InputError(Problem(str(folder), f"cannot be written to: {reason(error)}")) from None
    if held is None:
        raise InputError(Problem(str(folder), "another process takes a snapshot of this source", hint="wait for it"))
    with held:
        try:
            return _take(source, folder)
        except OSError as error:
            raise InputError(Problem(str(folder), f"cannot be written to: {reason(error)}")) from None
        finally:
            (folder / _PARTIAL).unlink(missing_ok=True)


def _take(source: SourceSettings, folder: Path) -> Taken:
    partial, before = folder / _PARTIAL, last_snapshot(folder)
    digest = hashlib.sha256(f"{source.title()}\n{source.model_dump_json()}".encode()).hexdigest()
    same = before is not None and before.source == digest
    fetched = source.fetch(partial, before.validators if before is not None and same else {})
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    if fetched is None:
        assert before is not None
        snapshot = before.model_copy(update={"checked": now})
    else:
        with partial.open("rb") as stream:
            name = hashlib.file_digest(stream, "sha256").hexdigest() + fetched.suffix
        snapshot = Snapshot(file=name, bytes=partial.stat().st_size, checked=now, source=digest,
                            validators=dict(fetched.validators))  # fmt: skip
        os.replace(partial, folder / name)
    os.utime(folder / snapshot.file)
    _note(folder, snapshot)
    remove(old_snapshots(folder, KEPT))
    return Taken(snapshot, before is None or before.file != snapshot.file)


def _note(folder: Path, snapshot: Snapshot) -> None:
    part = folder / f"{LAST}{_PARTIAL}"
    with part.open("w", encoding="utf-8") as stream:
        stream.write(snapshot.model_dump_json(indent=1) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, folder / LAST)


def old_snapshots(folder: Path, kept: int) -> list[Path]:
    """The files of a source's folder that are neither the last snapshot nor among the newest ``kept``."""
    last = last_snapshot(folder)
    files = [path for path in folder.glob("*") if path.is_file() and _is_snapshot(path.name)]
    files.sort(key=lambda path: (last is not None and path.name == last.file, path.stat().st_mtime_ns), reverse=True)
    return files[kept:]


def remove(files: Iterable[Path]) -> None:
    """Deletes snapshots."""
    for file in files:
        file.unlink(missing_ok=True)


def _is_snapshot(name: str) -> bool:
    stem = name.partition(".")[0]
    return len(stem) == 64 and all(letter in "0123456789abcdef" for letter in stem)
