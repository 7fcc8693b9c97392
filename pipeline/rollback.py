"""Going back to an earlier run's published model, for as long as no run publishes by another one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from modules.errors import InputError, Problem, reason
from modules.paths import near
from modules.predictions.daily.state import LastPass, last_pass
from modules.versions import open_part, settle
from pipeline.checksums import folder_of
from pipeline.run_folder import RunFolder
from pipeline.runs import PUBLISHED, Output, Runs

SERVING = "Format-Serving"
OF_RUN = "run"
"""Rows of a publication: the run's own table; of daily predictions it is the time at which their pass ended."""
_LOOKED_BACK = 1000
_LIFT = "`shelfmark publish --lift` ends the rollback"


class Rollback(BaseModel):
    """Which run's model is published by in place of the newest run's; kept in ``<run folder>/rollback.json``.

    Attributes:
      run: the one that was gone back to. withdrawn: addresses of the models that were published by since then.
      since: seconds since 1970. daily_from: daily predictions that were whole before that time do not count.
      pushed: folders of the versions that rollbacks gave to servers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    withdrawn: tuple[str, ...]
    since: float
    daily_from: float
    pushed: tuple[str, ...] = ()
    is_pushed: bool = False

    def counts(self, last: LastPass) -> bool:
        """Whether these daily predictions stand in place of the run's own table; those that were cut off do."""
        return last.ended is None or last.ended >= self.daily_from


def read_rollback(folder: RunFolder) -> Rollback | None:
    """The last rollback, be it over or not; None: there was none, or it was lifted.

    Raises:
      InputError: the file is damaged or cannot be read.
    """
    try:
        return Rollback.model_validate_json(folder.rollback.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(Problem(near(folder.rollback), f"cannot be read: {reason(error)}")) from None
    except ValidationError:
        expected = "expected the rollback as `shelfmark publish --rollback` writes it; the file is damaged"
        raise InputError(Problem(near(folder.rollback), expected, hint=_LIFT)) from None


def standing(rollback: Rollback | None, model: str) -> Rollback | None:
    """The rollback, if no run has published by a model since that it did not withdraw.

    Args:
      model: the address of the model that the newest run with published predictions has published by; empty: none.
    """
    return rollback if rollback is not None and (not model or model in rollback.withdrawn) else None


def model_of(output: Output | None) -> str:
    """The address of the model that predictions were made by; empty where nothing is known of it."""
    return "" if output is None else str(output.properties.get("model", ""))


def lift(folder: RunFolder, place: Path | None) -> bool:
    """Ends the rollback, and takes the versions that it has pushed away from servers; whether there was one.

    Args:
      folder: the run folder.
      place: see :func:`pipeline.run_folder.pushed_models`.

    Raises:
      InputError: a file cannot be deleted.
    """
    try:
        pushed = (read_rollback(folder) or Rollback(run="", withdrawn=(), since=0, daily_from=0)).pushed
    except InputError:
        # Damaged: what it has pushed is unknown, and the next blessed model is pushed above it.
        pushed = ()
    for version in map(Path, pushed):
        # Nothing but a version in this place, whatever the file says.
        if version.parent == place and version.name.isdigit():
            _delete(version, shutil.rmtree)
    if not folder.rollback.exists():
        return False
    _delete(folder.rollback, Path.unlink)
    return True


def _delete(path: Path, delete: Callable[[Path], None]) -> None:
    """Deletes what may be gone already."""
    try:
        delete(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        hint = "servers go on with the older model; mend it, and repeat the command"
        raise InputError(Problem(near(path), f"cannot be deleted: {reason(error)}", hint=hint)) from None


class Earlier:
    """Which earlier publications a workflow can go back to.

    Raises:
      InputError: there is no run, or none has published predictions.
    """

    def __init__(self, folder: RunFolder, runs: Runs):
        self._folder, self._runs = folder, runs
        self.newest = runs.find(having=PUBLISHED)
        self._outputs = dict(runs.until(self.newest.id, PUBLISHED, _LOOKED_BACK))
        self._last_pass = last_pass(folder.daily)

    def model_of(self, run: str) -> str:
        """The address of the model that a run has published by; empty where nothing is known of it."""
        return model_of(self._outputs.get(run))

    def missing(self, run: str, rows: str) -> str:
        """What of a publication is no longer there, as a clause; empty: nothing.

        Args:
          rows: :data:`OF_RUN`, or the time of the daily predictions' pass as :func:`repr` writes it.
        """
        output = self._outputs.get(run)
        if output is None or not output.folder.is_dir():
            return f"the predictions of run {run} were cleaned away"
        if not (folder_of(self.model_of(run)) / SERVING).is_dir():
            return f"the model of run {run} was cleaned away"
        last = self._last_pass
        if rows != OF_RUN and (last is None or last.run != run or repr(last.ended) != rows):
            return "its daily predictions were replaced by those of a later day"
        return ""

    def rollback_to(self, run: str, rows: str) -> Rollback:
        """What goes back to a publication of which nothing is missing; changes nothing yet."""
        names = list(self._outputs)
        own = self.model_of(run)
        withdrawn = {self.model_of(name) for name in names[names.index(run) + 1 :]} - {own, ""}
        now = time.time()
        before = read_rollback(self._folder)
        return Rollback(
            run=run,
            withdrawn=tuple(sorted(withdrawn)),
            since=now,
            daily_from=now if rows == OF_RUN else float(rows),
            pushed=before.pushed if before is not None else (),
        )


def is_cut_off(rollback: Rollback | None, output: Output) -> bool:
    """Whether servers may have the model of a rollback that does not know it, since a kill came in between."""
    return rollback is not None and not rollback.is_pushed and (folder_of(model_of(output)) / SERVING).is_dir()


def carry_out(folder: RunFolder, rollback: Rollback, output: Output, place: Path | None) -> None:
    """Notes the rollback, and pushes its model as the newest version for servers; what a kill cut off goes on here.

    Args:
      folder: the run folder.
      rollback: what is noted.
      output: the published predictions of the rollback's run.
      place: see :func:`pipeline.run_folder.pushed_models`; None: nothing is pushed.

    Raises:
      InputError: the disk is full, or a file cannot be written.
    """
    _write(folder, rollback)
    if rollback.is_pushed or place is None:
        return
    served = folder_of(model_of(output)) / SERVING
    try:
        version = _push(served, place)
    except OSError as error:
        hint = "make room, and repeat the command"
        raise InputError(Problem(near(place), f"cannot be written: {reason(error)}", hint=hint)) from None
    pushed = _still_there((*rollback.pushed, version))
    _write(folder, rollback.model_copy(update={"pushed": pushed, "is_pushed": True}))


def _push(served: Path, place: Path) -> str:
    from components.pusher.versions import remove_old_parts

    part = Path(open_part(str(place)))
    try:
        remove_old_parts(str(place))
        whole = part / "model"
        shutil.copytree(served, whole)
        return settle(str(whole), str(place))
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _still_there(versions: Iterable[str]) -> tuple[str, ...]:
    return tuple(version for version in dict.fromkeys(versions) if Path(version).is_dir())


def _write(folder: RunFolder, rollback: Rollback) -> None:
    """The file is the old one or the new one, also after the power went."""
    part = folder.rollback.with_suffix(".part")
    try:
        with part.open("wb") as stream:
            stream.write(rollback.model_dump_json(indent=1).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, folder.rollback)
        handle = os.open(folder.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise InputError(Problem(near(folder.rollback), f"cannot be written: {reason(error)}")) from None
