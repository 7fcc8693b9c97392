"""Sizes and checksums of a run's artifacts, taken when they were made. Light: no TensorFlow.

Each artifact's record is a file of its own outside the artifact, ``checksums/<component>/<output>/<execution>.json`` in
the run folder: an artifact may have thousands of files, and a property of ML Metadata that grows with them would travel
with every execution that reads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.counting import counted
from modules.errors import InputError

_FORMAT = 1
_Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Damage:
    """``file``: the one that differs. ``what``: how, as the end of a sentence that begins with its name."""

    file: Path
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


class DamagedArtifact(InputError):
    """An artifact that a command needs is not there, or not as it was made."""


class Checksums:
    """The recorded checksums of the artifacts below a pipeline root.

    A check reads every file once: a file whose size and time are the recorded ones may still have rotted. What was read
    in this process is not read again as long as size, time and inode stay.

    Args:
      root: the pipeline root. folder: where the records lie.
    """

    def __init__(self, root: Path, folder: Path):
        self._root, self._folder = root, folder
        self._found_fine: dict[Path, _Stamp] = {}

    def record(self, artifact: Path, *, copy_of: Path | None = None) -> None:
        """Writes down what lies in the folder of an artifact below the root; of others nothing is kept.

        Args:
          copy_of: the artifact that the folder is the pushed copy of; it may then lie anywhere.
        """
        place = self._place(artifact, copy_of)
        if place is None:
            return
        stamp = _stamp(artifact)
        files = {name: {"bytes": size, "sha256": _sha256(artifact / name)} for name, size, _, _ in stamp}
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.part")
        part.write_text(json.dumps({"format": _FORMAT, "files": files}) + "\n", encoding="utf-8")
        os.replace(part, place)
        self._found_fine[artifact] = stamp

    def recorded(self, artifact: Path, *, copy_of: Path | None = None) -> bool:
        """Whether the artifact can be compared: there is a readable record of it, or it lies outside the root.

        There is none of an artifact that was made before records were, or whose record was lost.
        """
        place = self._place(artifact, copy_of)
        return place is None or _files(place) is not None

    def forget(self, artifact: Path) -> None:
        """Removes the records of an artifact that is removed."""
        for copy_of in (None, artifact):
            place = self._place(artifact, copy_of)
            if place is not None:
                place.unlink(missing_ok=True)

    def damage(self, artifact: Path, *, copy_of: Path | None = None) -> Damage | None:
        """The first difference from the record; None if there is none, or no record to compare with.

        Hidden files that came later count for nothing, since file systems and viewers leave such; any other does, since
        readers take every file that their pattern matches.
        """
        place = self._place(artifact, copy_of)
        if place is None:
            return None
        if not artifact.is_dir():
            return Damage(artifact, "is gone")
        known = _files(place)
        if known is None:
            return None
        try:
            stamp = _stamp(artifact)
            if self._found_fine.get(artifact) == stamp:
                return None
            sizes = {name: size for name, size, _, _ in stamp}
            for name, (size, sha256) in known.items():
                if name not in sizes:
                    return Damage(artifact / name, "is missing")
                if sizes[name] != size:
                    return Damage(artifact / name, f"is damaged: {counted(sizes[name], 'byte')} in place of {size:,}")
                if _sha256(artifact / name) != sha256:
                    return Damage(artifact / name, "is damaged: its checksum is another than when it was made")
            for name in sizes.keys() - known.keys():
                if not Path(name).name.startswith("."):
                    return Damage(artifact / name, "was not there when the artifact was made")
        except OSError as error:
            return Damage(Path(error.filename or artifact), f"cannot be read ({error.strerror})")
        self._found_fine[artifact] = stamp
        return None

    def _place(self, folder: Path, copy_of: Path | None) -> Path | None:
        artifact = folder if copy_of is None else copy_of
        if not artifact.is_relative_to(self._root) or artifact == self._root:
            return None
        name = artifact.relative_to(self._root)
        return self._folder / name.parent / f"{name.name}{'' if copy_of is None else '.pushed'}.json"


def folder_of(uri: str) -> Path:
    """An artifact's folder on this machine."""
    return Path(urllib.parse.unquote(uri.removeprefix("file://")))


def _files(place: Path) -> dict[str, tuple[int, str]] | None:
    """Size and checksum of each file in the record, None: there is no record that can be read."""
    try:
        document: Any = json.loads(place.read_text(encoding="utf-8"))
        if document["format"] != _FORMAT:
            return None
        return {str(name): (int(file["bytes"]), str(file["sha256"])) for name, file in document["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _stamp(artifact: Path) -> _Stamp:
    """Name, size, time and inode of each file, in order of names."""
    states = []
    for folder, _, names in os.walk(artifact, onerror=_raise):
        for name in names:
            path = Path(folder) / name
            state = path.stat()
            states.append((path.relative_to(artifact).as_posix(), state.st_size, state.st_mtime_ns, state.st_ino))
    return tuple(sorted(states))


def _raise(error: OSError) -> None:
    raise error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
