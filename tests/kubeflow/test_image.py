"""What can be said of the image without building it."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline.kubeflow.entrypoint import COMMAND
from pipeline.workflow_file import REPOSITORY
from tests.kubeflow import image_contents


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
            assert name == "." or (name.split("/")[0] in allowed and (REPOSITORY / name).exists()), name


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


def test_the_gpu_variant_has_every_library_that_tensorflow_asks_for() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (REPOSITORY / "docker/cuda.lock").read_text(), re.MULTILINE))
    asked = [Requirement(text) for text in importlib.metadata.requires("tensorflow") or []]
    asked = [found for found in asked if found.marker and found.marker.evaluate({"extra": "and-cuda"})]
    asked = [found for found in asked if not found.marker or not found.marker.evaluate({"extra": ""})]
    assert asked
    for requirement in asked:
        assert requirement.specifier.contains(pins[requirement.name]), requirement


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        (".netrc", "", 1),
        ("etc/pip.conf", "index-url = https://robot:hunter2@packages.example/simple", 1),
        ("app/settings.py", "URL = 'postgresql://shop:8fj2kd@db.example/labels'", 1),
        ("app/key", "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIB" * 10, 1),
        ("app/notes", "ghp_" + "a1B2c3D4e5F6" * 3, 1),
        ("app/notes", "ghp_" + "x" * 36, 0),
        ("app/help.py", "mysql://user:password@host", 0),
        ("etc/pip.conf", "index-url = https://packages.example/simple", 0),
    ],
)
def test_secrets_are_told_from_examples(tmp_path: Path, name: str, content: str, found: int) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    assert len(image_contents.secrets(tmp_path)) == found


def test_what_a_user_can_write_and_what_compiles(tmp_path: Path) -> None:
    for name, mode in {
        "gcc": 0o755,
        "x86_64-linux-gnu-g++-12": 0o755,
        "ld.bfd": 0o755,
        "make": 0o644,
        "access": 0o777,
    }.items():
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    assert image_contents.compilers(tmp_path) == {"gcc", "x86_64-linux-gnu-g++-12", "ld.bfd"}
    assert image_contents.writable(tmp_path, 123_456) == {"access"}
