"""Where secrets come from: the environment or a mounted file; never an argument, which other users would see."""

from __future__ import annotations

import os
from pathlib import Path

from modules.errors import InputError, Problem, reason

ENVIRONMENT, FILE = "env:", "file:"
LONGEST = 1 << 16
SHORTEST = 16
"""Bytes of a secret that signs: fewer could be guessed from a single signature."""


def from_environment(name: str, key: str) -> str:
    """The variable's value.

    Args:
      name: of the variable.
      key: the argument that names the variable, for messages.

    Raises:
      InputError: it is not set, or empty.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise InputError(Problem("", "expected an environment variable that is set", key=key, value=name))
    return value


def from_file(path: str | Path, key: str) -> str:
    """The file's text, without white space around it.

    Raises:
      InputError: it cannot be read, is empty, or is no short text.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(LONGEST + 1)
        text = data.decode("utf-8").strip()
    except (OSError, ValueError) as error:
        raise InputError(Problem(str(path), f"expected a file with a secret: {reason(error)}", key=key)) from None
    if not text or len(data) > LONGEST:
        raise InputError(Problem(str(path), "expected a file with a secret of at most 64 KiB", key=key))
    return text


def text_behind(text: str, key: str) -> tuple[str, bool]:
    """What ``env:NAME`` and ``file:PATH`` stand for, and whether the text was kept from where others would see it.

    Args:
      text: such a reference, or the text itself.
      key: the argument or setting that holds it, for messages.

    Raises:
      InputError: as for :func:`from_environment` and :func:`from_file`.
    """
    if text.startswith(ENVIRONMENT):
        return from_environment(text.removeprefix(ENVIRONMENT), key), True
    if text.startswith(FILE):
        return from_file(text.removeprefix(FILE), key), True
    return text, False


def signing_secret(variable: str | None, file: Path | None) -> bytes | None:
    """The secret that ``--secret-env`` or ``--secret-file`` names; None: neither is given.

    Raises:
      InputError: both are given, it cannot be read, or it is too short.
    """
    if variable is not None and file is not None:
        raise InputError(Problem("", "expected one of --secret-env NAME and --secret-file FILE"))
    if variable is None and file is None:
        return None
    key = "--secret-env" if file is None else "--secret-file"
    text = from_environment(variable or "", key) if file is None else from_file(file, key)
    secret = text.encode()
    if len(secret) < SHORTEST:
        expected = f"expected a secret of at least {SHORTEST} bytes"
        raise InputError(Problem("", expected, key=key, hint="`openssl rand -hex 32` makes one"))
    return secret
