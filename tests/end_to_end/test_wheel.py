"""The wheel in an environment of its own: all files are in it, and nothing is written beside the installed package.

The environment sees the libraries of the one that runs the tests, but not the source tree: a path in a ``.pth`` file
makes modules importable and leaves that folder's own ``.pth`` files, the editable install's among them, unread.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from pipeline.workflow_file import REPOSITORY

pytestmark = pytest.mark.slow

PACKAGES = (
    "api", "components", "experiments", "labelling", "modules", "pipeline", "publishing", "schemas", "shelfmark",
    "workflows",
)  # fmt: skip
LEFT_OUT = {
    ".venv",
    ".uv",
    ".git",
    ".flink",
    ".opensearch",
    ".label-studio",
    "runs",
    "build",
    "site",
    "__pycache__",
    "tests",
    "docs",
}
SETTINGS = (
    *("feed.demo.products=200", "feed.demo.images=false", "training.epochs=2"),
    *("similarity=null", "evaluation.thresholds={}"),
)
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def obey_file_modes() -> None:
    """Takes from root the right to write where the mode forbids it; others never had it."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)


class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    def __init__(self, folder: Path):
        source, self.python, self.work = folder / "source", folder / "env" / "bin" / "python", folder / "work"
        self.work.mkdir()
        # Built from a copy: setuptools writes beside what it builds.
        shutil.copytree(
            REPOSITORY, source, ignore=lambda _, names: [n for n in names if n in LEFT_OUT or n.endswith(".egg-info")]
        )
        build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
        built = self.call(sys.executable, "-c", build, str(folder), cwd=source)
        self.wheel = folder / built.splitlines()[-1]
        self.call(sys.executable, "-m", "venv", str(folder / "env"), cwd=folder)
        self.call(str(self.python), "-m", "pip", "install", "--no-index", "--no-deps", str(self.wheel), cwd=folder)
        self.site = folder / "env" / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
        (self.site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def call(self, *command: str, cwd: Path | None = None) -> str:
        """The output of a command that has to succeed, with no path of this process's."""
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        if command[0] == sys.executable:
            environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
        done = subprocess.run(
            command, cwd=cwd or self.work, capture_output=True, text=True, timeout=900, preexec_fn=obey_file_modes,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shelfmark(self, *arguments: str) -> str:
        return self.call(str(self.python.with_name("shelfmark")), *arguments)

    def files(self) -> dict[str, tuple[int, int]]:
        """Everything that is installed, with its size and time."""
        states = {}
        for path in sorted(self.site.rglob("*")):
            status = path.lstat()
            states[str(path.relative_to(self.site))] = (status.st_size if path.is_file() else 0, status.st_mtime_ns)
        return states


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("wheel"))


def test_every_file_of_the_packages_is_in_the_wheel(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(REPOSITORY))
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "README.md"
    }
    assert held == expected


def test_a_run_from_another_folder_writes_there_alone(installed: Installed) -> None:
    where = "import shelfmark, pipeline, modules; print(shelfmark.__file__, pipeline.__file__, modules.__file__)"
    for file in installed.call(str(installed.python), "-c", where).split():
        assert Path(file).is_relative_to(installed.site), "the source tree is importable"
    for path in (installed.site, *installed.site.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    probe = ["touch", str(installed.site / "workflows" / "probe")]
    refused = subprocess.run(probe, preexec_fn=obey_file_modes, capture_output=True, text=True)
    assert "Permission denied" in refused.stderr, "the installed package can be written to: this test would say nothing"
    before = installed.files()
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    installed.shelfmark("validate", str(installed.site / "workflows" / "demo.yaml"), *options)
    installed.shelfmark("compile", "--demo", "--output", "package.yaml", *options)
    assert (installed.work / "package.yaml").stat().st_size > 10_000
    said = installed.shelfmark("run", "--demo", *options)
    assert "Predictor" in said
    assert sorted(path.name for path in installed.work.iterdir()) == ["package.yaml", "runs"]
    assert sorted(path.name for path in (installed.work / "runs").iterdir()) == ["demo", "demo-catalogue"]
    assert list((installed.work / "runs" / "demo" / "reports").glob("*.html"))
    installed.shelfmark("label", "import-batch", "--demo")
    assert (installed.work / "runs" / "demo" / "labels.sqlite").exists()
    assert installed.files() == before
