"""The published similarity indexes, kept up to date by the daily predictions.

The newest pushed version of the published model stays as it is, and a layer over it, a small version of its own, has
what came, changed or went since. When the layer grows beyond a share of the products, the indexes are built anew.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modules.errors import InputError, Problem, reason
from modules.examples import TAXONOMY_FILE
from modules.paths import near
from modules.predictions.columns import embedding_column, embedding_name
from modules.predictions.daily.files import DailyFiles
from modules.predictions.daily.outdated import OutdatedFiles, differing
from modules.predictions.daily.state import DailyState
from modules.settings.similarity import IndexSettings
from modules.settings.workflow import Workflow
from modules.similarity.changes import Rows
from modules.similarity.daily import DAILY_FILE, DailyVersion, base_of, model_of_version, read_daily, seal, write_layer
from modules.similarity.folder import Manifest, indexes_in, read_manifest
from modules.similarity.from_predictions import read_items
from modules.similarity.identity import fingerprint
from modules.similarity.items import SCHEMA, Items
from modules.similarity.make import PUSHED_MODEL, make_index
from modules.taxonomy import Taxonomy
from modules.versions import numbers_of, settle
from pipeline.results import published_model
from pipeline.run_folder import pushed_indexes
from pipeline.runs import Run
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from modules.predictions.read import PredictionFiles

INDEX = "similarity_index"
"""The output of a run that its indexes lie in."""
_PART = ".daily.part"
REBUILD_SHARE = 0.2
"""Of the base's products; when more are outdated, a new base pays: exact search of the layer is what a search costs."""


@dataclass(frozen=True)
class Renewed:
    """The indexes of a day.

    Attributes:
      version: the folder that servers now take. products: that it has. newer: that came or changed since the base.
      outdated: that the base has no longer as they are, or never had.
      is_anew: whether the indexes were built anew.
      reasons: why indexes that were built anew are not good enough, so that the layer stays.
    """

    version: Path
    products: int
    newer: int
    outdated: int
    is_anew: bool = False
    reasons: tuple[str, ...] = ()


def renew_index(loaded: LoadedWorkflow, state: DailyState) -> Renewed | None:
    """Publishes the indexes with today's products; ``then`` of :func:`pipeline.daily.predict`.

    After a kill, the next call does what is left to do. Where nothing has changed, no version is made.

    Returns:
      None: no index of the published model was pushed into a folder here.

    Raises:
      InputError: the index or the predictions are damaged, or the folder cannot be written.
    """
    folder = pushed_indexes(loaded.workflow)
    if folder is None or not folder.is_dir():
        return None
    run, served = published_model(loaded)
    model = fingerprint(served)
    base = newest_base(folder, model)
    if base is None:
        return None
    with _writable(folder):
        return renew_over(base, state, DailyVersion(run.id, model, base.name), loaded.workflow)


def renew_over(base: Path, state: DailyState, daily: DailyVersion, workflow: Workflow) -> Renewed:
    """Publishes what the products of ``state`` are, beside the whole version ``base`` and as far as possible over it.

    Args:
      daily: of a layer over ``base``. workflow: whose settings indexes that are built anew get.

    Raises:
      InputError: the index or the predictions are damaged.
    """
    return _Renewal(workflow, state, base, daily).renew()


class _Renewal:
    """One renewal, of the version ``base``."""

    def __init__(self, workflow: Workflow, state: DailyState, base: Path, daily: DailyVersion):
        self._state, self._base, self._daily = state, base, daily
        self._folder = base.parent
        self._seed = workflow.seed
        self._taxonomy = Taxonomy.load(base / TAXONOMY_FILE)
        self._manifests = {name: read_manifest(path, verify=False) for name, path in indexes_in(base).items()}
        given = workflow.similarity.indexes if workflow.similarity is not None else {}
        self._settings = {name: settings_of(given.get(name), manifest) for name, manifest in self._manifests.items()}

    def renew(self) -> Renewed:
        known = self._state.base()
        if known is None or known.name != self._base.name:
            self._state.take_base(self._base.name, self._compared())
            known = self._state.base()
        outdated = self._state.outdated()
        count = max(manifest.count for manifest in self._manifests.values())
        tried = known.refused if known is not None and known.refused is not None else 0
        reasons: tuple[str, ...] = ()
        if len(outdated) > max(REBUILD_SHARE * count, 2 * tried):
            part = _new_part(self._folder)
            reasons = self._build_anew(part)
            if not reasons:
                self._complete(part)
                version = Path(settle(str(part), str(self._folder)))
                self._state.take_base(version.name, ())
                self._forget_older(version)
                return Renewed(version, self._state.products(), 0, 0, is_anew=True)
            self._state.refuse(len(outdated))
        newer = self._newer()
        if outdated or self._base != _versions(self._folder)[-1]:
            part = _new_part(self._folder)
            write_layer(part, self._daily, newer, pa.array(outdated, pa.string()))
            version = Path(settle(str(part), str(self._folder)))
        else:
            version = self._base
        self._forget_older(version)
        changed = max(map(len, newer.values()))
        return Renewed(version, self._state.products(), changed, len(outdated), reasons=reasons)

    def _compared(self) -> list[str]:
        """Ids of the products that the base does not have as they are, by looking at all of them."""
        files = DailyFiles(self._state.place, is_held=True)
        differs: set[str] = set()
        for name, manifest in self._manifests.items():
            base = Rows.map(self._base / name, manifest.embedding, manifest.dimension)
            with self._items(files, name) as items:
                differs.update(differing(items, base))
        return sorted(differs)

    def _newer(self) -> Mapping[str, Items]:
        """Per index the outdated products as they are today, in the order of their ids."""
        if not OutdatedFiles.living(self._state.place):
            return {name: nothing(manifest) for name, manifest in self._manifests.items()}
        files = OutdatedFiles(self._state.place)
        newer = {}
        for name in self._manifests:
            with self._items(files, name) as items:
                newer[name] = items.take(pc.array_sort_indices(items.ids).to_numpy().astype(np.int64))
        return newer

    @contextmanager
    def _items(self, files: PredictionFiles, name: str) -> Iterator[Items]:
        """The products of the files as an index has them."""
        settings = self._settings[name].model_copy(update={"partition_level": 0})
        with tempfile.TemporaryDirectory(dir=self._state.spool) as scratch:
            yield read_items(files, self._taxonomy, settings, self._daily.model, Path(scratch) / "vectors.npy")[0]

    def _build_anew(self, part: Path) -> tuple[str, ...]:
        """Builds the indexes of all products in ``part``; returns why they are not good enough."""
        files = DailyFiles(self._state.place, is_held=True)
        reasons: list[str] = []
        for name, settings in self._settings.items():
            # The run's table of neighbours is of the base before.
            reasons += make_index(files, self._taxonomy, settings, self._daily.model, self._seed, part, name).reasons
        return tuple(reasons)

    def _complete(self, part: Path) -> None:
        """Makes a whole version of the indexes that were built anew."""
        shutil.copyfile(self._base / TAXONOMY_FILE, part / TAXONOMY_FILE)
        if (self._base / PUSHED_MODEL).is_dir():
            shutil.copytree(self._base / PUSHED_MODEL, part / PUSHED_MODEL)
        seal(part, dataclasses.replace(self._daily, base=None))

    def _forget_older(self, version: Path) -> None:
        """Removes versions of earlier days, but for the last one, which a server may be about to open."""
        kept = [version, *(other for other in _versions(self._folder)[-2:] if other != version)]
        kept += [base for base in map(_base_of, kept) if base is not None]
        for other in _versions(self._folder):
            if other not in kept and (other / DAILY_FILE).is_file():
                # Under its name it is whole, or not there.
                part = _new_part(self._folder)
                os.replace(other, part)
                shutil.rmtree(part)


def _new_part(folder: Path) -> Path:
    """An empty folder for what becomes a version; the lock on the predictions is the lock on it."""
    part = folder / _PART
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    return part


def _versions(folder: Path) -> list[Path]:
    """The versions by their numbers."""
    return [folder / str(number) for number in sorted(numbers_of(os.listdir(folder)))]


def _base_of(version: Path) -> Path | None:
    """The version that this one is a layer over; None: it is none, or is damaged."""
    try:
        return base_of(version)
    except InputError:
        return None


def newest_base(folder: Path, model: str) -> Path | None:
    """The newest whole version of a model's indexes; None: there is none."""
    for version in reversed(_versions(folder)):
        # A layer holds no whole index.
        if model_of_version(version) == model:
            return version
    return None


def settings_of(given: IndexSettings | None, manifest: Manifest) -> IndexSettings:
    """The workflow's settings of an index, if they are of the same embedding; else without a table of neighbours."""
    if given is not None and embedding_column(given.embedding) == manifest.embedding.column:
        return given
    return IndexSettings(embedding=embedding_name(manifest.embedding.column), neighbours=0)


def nothing(manifest: Manifest) -> Items:
    """No products, as an index of these would have them."""
    return Items(SCHEMA.empty_table(), np.zeros((0, manifest.dimension), np.float16), manifest.embedding)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "is there room on the disk? then repeat the command"
        problem = f"expected a folder that similarity indexes can be written to: {reason(error)}"
        raise InputError(Problem(near(folder), problem, hint=hint)) from None


def of_run(loaded: LoadedWorkflow, run: Run) -> Path | None:
    """The version with which the days after a run go on its own indexes; None: there is none.

    Raises:
      InputError: the newest version is damaged.
    """
    folder = pushed_indexes(loaded.workflow)
    versions = _versions(folder) if folder is not None and folder.is_dir() else []
    daily = read_daily(versions[-1]) if versions else None
    if daily is None or daily.run != run.id or daily.model != run.outputs[INDEX].properties.get("model_fingerprint"):
        return None
    return versions[-1]
