"""A folder with one JSON Lines file per publication: what changed since the one before."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, ClassVar

from modules.errors import InputError, Problem, reason
from modules.paths import near
from modules.predictions.documents import Document
from publishing.targets.base import Busy, Options, Target, Unusable

PART = ".part"
_BLOCK = 1 << 16


class FolderTarget(Target):
    """``products-<version>.jsonl``, which appears when its publication ends.

    Each batch is on the disk before it is acknowledged. A publication that was killed leaves a part; the next one shows
    it, cut after its last whole line, before its own, so that the files in the order of their names are all there was.

    Attributes:
      ending: of the files' names. Parts have one more, and lines of JSON, whatever is made of them.
    """

    ending: ClassVar[str] = ".jsonl"

    def __init__(self, address: str, options: Options, is_hidden: bool):
        if not address:
            hint = "`.` is the folder that this program was started in"
            raise InputError(Problem("", "expected a folder; nothing is named", key="TARGET", hint=hint))
        self._folder = Path(address).absolute()
        if self._folder.exists() and not self._folder.is_dir():
            hint = "`shelfmark predictions --published --output FILE` writes one file"
            raise InputError(Problem(address, "expected a folder; this is a file", key="TARGET", hint=hint))
        self.name = near(self._folder)
        self.identity = str(self._folder)
        self._lock = threading.Lock()
        self._stream: IO[bytes] | None = None
        self._part = self._file = Path()

    def start(self, version: int) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in sorted(self._folder.glob(f"products-*{self.ending}{PART}")):
                self._show(left, left.with_suffix(""))
            self._file = self._folder / f"products-{version}{self.ending}"
            self._part = self._file.with_name(self._file.name + PART)
            self._stream = open(self._part, "xb", buffering=0)  # noqa: SIM115 - finish closes it
        except OSError as error:
            raise Unusable(f"{self.name} cannot be written: {reason(error)}") from None

    def send(self, documents: Sequence[Document]) -> None:
        data = b"".join(document.as_json() + b"\n" for document in documents)
        with self._lock:
            assert self._stream is not None
            end = self._stream.seek(0, os.SEEK_END)
            try:
                left = memoryview(data)
                while left:
                    left = left[self._stream.write(left) :]
                os.fsync(self._stream.fileno())
            except OSError as error:
                # Half a batch would stand twice in the file when it comes again.
                self._stream.truncate(end)
                raise Busy(f"{self.name} cannot be written: {reason(error)}") from None

    def finish(self) -> None:
        if self._stream is None:
            return
        self._stream.close()
        self._stream = None
        try:
            self._show(self._part, self._file)
        except OSError as error:
            raise Unusable(f"{self._file} cannot be written: {reason(error)}") from None

    def _show(self, part: Path, file: Path) -> None:
        """Makes the file of a part; nothing is left of one without a line."""
        with part.open("r+b") as stream:
            length = _whole_lines(stream)
            stream.truncate(length)
            os.fsync(stream.fileno())
        if length:
            self.make(part, file)
        else:
            part.unlink()

    def make(self, part: Path, file: Path) -> None:
        """Puts the complete file in the place of the part.

        Raises:
          OSError: it cannot be written; the part is still there.
        """
        os.replace(part, file)
        sync(file.parent)


def sync(folder: Path) -> None:
    """Returns when the names of a folder's files are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _whole_lines(stream: IO[bytes]) -> int:
    """Bytes up to the end of the last line."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        stream.seek(start)
        place = stream.read(end - start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0
