"""Where encoders lie: a folder that a workflow names, or the user's store."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from modules.encoders.files import SETTINGS_FILE
from modules.errors import InputError, Problem

STORE_VARIABLE = "SHELFMARK_ENCODERS"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def store() -> Path:
    """``$SHELFMARK_ENCODERS``, else ``encoders`` in the folder where the platform keeps a user's data of Shelfmark."""
    named = os.environ.get(STORE_VARIABLE)
    return Path(named).expanduser() if named else _user_data() / "shelfmark" / "encoders"


def _user_data() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    named = os.environ.get("XDG_DATA_HOME", "")
    # The specification says to ignore a relative path.
    return Path(named) if Path(named).is_absolute() else Path.home() / ".local" / "share"


def check_name(name: str) -> str:
    """``name`` if an encoder of the store may be called so.

    Raises:
      InputError: it may not.
    """
    if not _NAME.fullmatch(name):
        expected = "expected a name of letters, digits, dots, dashes and underscores that begins with a letter or digit"
        raise InputError(Problem("", expected, key="encoder", value=name))
    return name


def is_installed(name: str) -> bool:
    """Whether the user's store has an encoder of this name."""
    return (store() / check_name(name) / SETTINGS_FILE).is_file()


def encoder_of_feature(name: str, find: Callable[[str], Path]) -> Path:
    """The folder of the encoder that a feature names; where pods alone see it, the path as it is.

    Args:
      find: the full path of a file that the workflow names (``LoadedWorkflow.find``).

    Raises:
      InputError: there is no encoder.
    """
    path = find(name)
    # What lies elsewhere for pods is not for this machine to look for.
    return path if path.is_dir() or Path(name).is_absolute() else encoder_folder(name, find("."))


def encoder_folder(name: str, beside: Path) -> Path:
    """The folder of an encoder.

    Args:
      name: a path, if it has a separator or is a folder in ``beside``; else a name in the user's store.
      beside: the folder that relative paths start at: the workflow file's.

    Raises:
      InputError: there is no encoder.
    """
    path = beside / Path(name).expanduser()
    if "/" in name or os.sep in name or (name not in ("", ".", "..") and path.is_dir()):
        if (path / SETTINGS_FILE).is_file():
            return path
        expected = f"expected an encoder's folder, which holds {SETTINGS_FILE}"
        raise InputError(Problem(str(path), expected, hint="make one of a package: shelfmark encoder add PATH"))
    if not is_installed(name):
        expected = "there is no encoder of this name on this machine"
        raise InputError(Problem("", expected, key="encoder", value=name, hint=f"shelfmark encoder add {name}"))
    return store() / name
