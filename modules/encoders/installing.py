"""The user's store of encoders: what is in it, and adding and removing them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.encoders.files import SETTINGS_FILE
from modules.encoders.kinds import KINDS, AnySettings, any_settings, kind_of_package
from modules.encoders.known import KNOWN, recognised
from modules.encoders.places import check_name, store
from modules.errors import InputError, Problem, reason


@dataclass(frozen=True)
class Installed:
    """An encoder of the store.

    Attributes:
      folder: where it lies.
      size: of its files, in bytes.
      settings: None if they cannot be read.
    """

    folder: Path
    size: int
    settings: AnySettings | None


def installed() -> Iterator[Installed]:
    """The store's encoders by name, damaged ones among them."""
    if not store().is_dir():
        return
    for folder in sorted(store().iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            yield of_folder(folder)


def of_folder(folder: Path) -> Installed:
    """What is installed in a folder."""
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    try:
        return Installed(folder, size, any_settings(folder))
    except InputError:
        return Installed(folder, size, None)


def add(what: str, name: str | None, say: Callable[[str], None]) -> Installed:
    """Puts an encoder into the store; a known one that is there already stays as it is.

    Args:
      what: a known encoder's name, or the path of a package or of an encoder's folder.
      name: that it gets; None: the known encoder's, or the one that the path suggests.
      say: called with what is being done.

    Raises:
      InputError: there is no such encoder, it is damaged, or the name is taken.
    """
    named, path = KNOWN.get(what), Path(what).expanduser()
    if named is None and not path.exists():
        expected = f"expected {', '.join(KNOWN)}, or the path of a .jar, .onnx, .whl, .pth or folder"
        raise InputError(Problem("", expected, key="encoder", value=what))
    known = named or recognised(path)
    folder = store() / check_name(name or (known.name if known is not None else path.resolve().stem))
    if folder.is_dir() and named is not None and known is not None:
        there = of_folder(folder)
        if there.settings is not None and there.settings.origin == known.source.coordinates:
            say(f"{known.name} is there already")
            return there
    if folder.exists():
        raise InputError(
            Problem(
                str(folder),
                "an encoder of this name is there already",
                hint=f"--name gives another name, `shelfmark encoder remove {folder.name}` makes room",
            )
        )
    with tempfile.TemporaryDirectory(prefix="shelfmark-encoder-") as scratch:
        if named is not None:
            from modules.encoders.fetching import fetch

            source, size = named.source, f"{named.size / 1e6:.0f} MB"
            say(f"fetching {source.coordinates} ({size}) with {source.client}; licence {named.licence}")
            path = fetch(named, Path(scratch))
        if (path / SETTINGS_FILE).is_file():
            say(f"checking and copying {path}")
            KINDS[type(any_settings(path))].copy(path, folder)
        else:
            kind = KINDS[type(known)] if known is not None else kind_of_package(path)
            say(f"converting the weights, and checking them against the vectors of {kind.check}")
            kind.convert(path, folder, folder.name, known)
    return of_folder(folder)


def remove(name: str) -> Path:
    """Removes an encoder from the store; returns the folder where it was.

    Raises:
      InputError: there is none of this name, or it cannot be removed.
    """
    folder = store() / check_name(name)
    if not folder.is_dir():
        hint = "shelfmark encoder list shows the encoders that are there"
        raise InputError(Problem("", "there is no encoder of this name in the store", value=name, hint=hint))
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except OSError as error:
        raise InputError(Problem(str(folder), f"the encoder cannot be removed: {reason(error)}")) from error
    return folder
