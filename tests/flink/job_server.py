"""Writes a jar that starts Beam's job server for Flink out of the libraries beside it.

``python tests/flink/job_server.py FOLDER``: the libraries are in FOLDER/lib; writes FOLDER/job-server.jar, which names
them (``java -jar`` takes no other class path).
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

MAIN = "org.apache.beam.runners.flink.FlinkJobServerDriver"
# What Flink opens by reflection; from Java 17 on it has to be said.
PACKAGES = (
    "lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "text", "time", "util", "util.concurrent",
    "util.concurrent.atomic", "util.concurrent.locks",
)  # fmt: skip
OPEN = " ".join(f"java.base/java.{package}" for package in PACKAGES)


def header(name: str, value: str) -> bytes:
    """A line of a manifest, folded at 72 bytes: what follows begins with a blank (JAR File Specification)."""
    line = f"{name}: {value}".encode()
    rest = [b" " + line[at : at + 69] for at in range(70, len(line), 69)]
    return b"".join(part + b"\r\n" for part in (line[:70], *rest))


def write(folder: Path) -> None:
    """Writes the jar beside ``lib``."""
    libraries = " ".join(f"lib/{jar.name}" for jar in sorted((folder / "lib").glob("*.jar")))
    headers = {"Manifest-Version": "1.0", "Main-Class": MAIN, "Add-Opens": OPEN, "Class-Path": libraries}
    with zipfile.ZipFile(folder / "job-server.jar", "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", b"".join(header(*one) for one in headers.items()) + b"\r\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
