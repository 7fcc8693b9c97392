"""Where the served index comes from: a folder, or the newest version among the folders in it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from api.similarity.embedder import Embedder
from api.similarity.engine import Loaded
from modules.errors import InputError, Problem
from modules.similarity.catalogue import Catalogue
from modules.similarity.daily import base_of
from modules.similarity.folder import MANIFEST, indexes_in
from modules.similarity.make import PUSHED_MODEL
from modules.similarity.version import VERSION_FILE

_SAVED = "saved_model.pb"


class Broken:
    """Remembers the last version that could not be opened, so that it is not read again at every look."""

    def __init__(self) -> None:
        self._last: tuple[Hashable, tuple[Problem, ...]] | None = None

    @contextmanager
    def __call__(self, state: Hashable) -> Iterator[None]:
        """Around the opening of a version; ``state``: what is another as soon as it is worth another try.

        Raises:
          InputError: it is the version that could not be opened; why.
        """
        if self._last is not None and self._last[0] == state:
            raise InputError(self._last[1])
        try:
            yield
        except InputError as error:
            self._last = (state, error.problems)
            raise


class FolderSource:
    """An index folder, or a folder of versions (their names are numbers; the highest is served).

    Args:
      folder: what is looked at again at each call.
      model: SavedModel folder, or a folder of versions of it; None: ``model/`` beside the indexes, where
        IndexPusher puts it; without, texts and images cannot be asked for.
    """

    def __init__(self, folder: str | Path, model: str | Path | None = None):
        self._folder = Path(folder)
        self._model = Path(model) if model is not None else None
        self._broken = Broken()

    def __call__(self, version: str | None) -> Loaded | None:
        """See :data:`api.similarity.engine.Source`."""
        newest = newest_version(self._folder)
        if newest is None:
            hint = "build one with `shelfmark run`"
            raise InputError(Problem(str(self._folder), "a folder with an index; there is none", hint=hint))
        stamp = f"{newest.name}-{_changed(newest)}"
        if stamp == version:
            return None
        # A file that is put right, or comes late, makes a broken version worth another try.
        with self._broken((stamp, *map(state_of, (newest, _base(newest), self._model)))):
            catalogue = Catalogue.open(newest)
            catalogue.version = stamp
            folder = self._model_of(newest)
            return Loaded(catalogue, Embedder(folder) if folder is not None else None)

    def _model_of(self, newest: Path) -> Path | None:
        folder = self._model
        if folder is None:
            return pushed_model(newest)
        if (folder / _SAVED).is_file():
            return folder
        return newest_model(folder) or folder


def pushed_model(version: Path) -> Path | None:
    """The SavedModel that was pushed with a version, or with the one that it is a layer over; None: there is none."""
    model = (_base(version) or version) / PUSHED_MODEL
    return model if (model / _SAVED).is_file() else None


def _base(version: Path) -> Path | None:
    """See :func:`modules.similarity.daily.base_of`; None: what is damaged is told when it is opened."""
    try:
        return base_of(version)
    except InputError:
        return None


def newest_model(folder: Path) -> Path | None:
    """The highest numbered folder in it that holds a SavedModel; None if there is none."""
    # The file that is written last: a version without it is half a push.
    numbered = [version for version in folder.iterdir() if version.name.isdigit()] if folder.is_dir() else []
    versions = [version for version in numbered if (version / _SAVED).is_file()]
    return max(versions, key=lambda version: int(version.name), default=None)


def newest_version(folder: Path) -> Path | None:
    """The folder itself if it holds an index or indexes, else the highest numbered folder in it that does."""
    if is_index(folder):
        return folder
    versions = [version for version in folder.iterdir() if version.name.isdigit()] if folder.is_dir() else []
    indexes = [version for version in versions if is_index(version)]
    return max(indexes, key=lambda version: int(version.name), default=None)


def is_index(folder: Path) -> bool:
    """Whether there is a file that is written last: a version's list, or a manifest.

    What is half there is not looked at; what has lost its manifests is looked at and refused.
    """
    return any((folder / name).is_file() for name in (VERSION_FILE, MANIFEST)) or bool(indexes_in(folder))


def _changed(folder: Path) -> str:
    """Another text whenever a manifest in the folder is another file."""
    manifests = [manifest / MANIFEST for manifest in (folder, *indexes_in(folder).values())]
    states = [manifest.stat() for manifest in manifests if manifest.is_file()]
    return f"{hash(tuple((state.st_mtime_ns, state.st_ino) for state in states)) & 0xFFFFFFFF:08x}"


def state_of(folder: Path | None) -> Hashable:
    """Another value whenever a file in the folder or below is another one."""
    files = sorted(folder.rglob("*")) if folder is not None else []
    states = [(file, file.stat()) for file in files if file.is_file()]
    return tuple((str(file), state.st_mtime_ns, state.st_ino, state.st_size) for file, state in states)
