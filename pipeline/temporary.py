"""A folder for what a run writes beside its own: removed when it ends, or at the next start if it was killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "shelfmark-"


@contextmanager
def temporary_files(note: Path) -> Iterator[None]:
    """While it lasts, temporary files of this process and of those that it starts lie in one folder of the system's.

    TensorFlow, TFX and Beam write such files and leave them when they are killed. Not in the run folder: the paths of
    sockets, which processes open there too, may have a hundred characters only.

    Args:
      note: the file that remembers the folder. The caller sees to it that nobody else uses it.
    """
    _remove(note)
    before = os.environ.get("TMPDIR")
    folder = tempfile.mkdtemp(prefix=_PREFIX)
    note.write_text(folder, encoding="utf-8")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before
        _remove(note)


def _remove(note: Path) -> None:
    try:
        folder = Path(note.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return
    # Whatever else the file may say: nothing but a folder that this program made for this user.
    ours = folder.name.startswith(_PREFIX) and not folder.is_symlink() and folder.is_dir()
    if ours and folder.stat().st_uid == os.getuid():
        shutil.rmtree(folder, ignore_errors=True)
    note.unlink(missing_ok=True)
