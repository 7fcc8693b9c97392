"""What can be said of the image without building it."""

from __future__ import annotations

import re
import tomllib

from pipeline.kubeflow.entrypoint import COMMAND
from pipeline.workflow_file import REPOSITORY


def test_the_context_holds_what_is_installed_and_copied() -> None:
    allowed = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert (
        packages | {"schemas", "workflows", "pyproject.toml", project["project"].get("readme", "README.md")} <= allowed
    )
    text = (REPOSITORY / "Dockerfile").read_text()
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for name in source.split():
            assert name == "." or name.split("/")[0] in allowed and (REPOSITORY / name).exists(), name


def test_everything_installed_is_pinned_by_checksum() -> None:
    for name in ("requirements.lock", "docker/uv.txt", "docker/cuda.lock"):
        entries = re.split(r"\n(?=\S)", (REPOSITORY / name).read_text().strip())
        assert entries and all("==" in entry and "--hash=sha256:" in entry for entry in entries if entry[0] != "#")
    text = (REPOSITORY / "Dockerfile").read_text()
    assert text.count("--require-hashes") == 3 and len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2


def test_entrypoint_and_user() -> None:
    text = (REPOSITORY / "Dockerfile").read_text()
    assert f"ENTRYPOINT {COMMAND}".replace("'", '"') in text
    assert text.index("USER 1000") < text.index("ENTRYPOINT")
