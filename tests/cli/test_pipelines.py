"""The pipeline object, as TFX's own command line and its own runner take it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.workflow_file import REPOSITORY

pytestmark = pytest.mark.slow

SETTINGS = ["feed.demo.products=60", "feed.demo.images=false"]


def call(folder: Path, *command: str) -> str:
    """The output of a command, run in ``folder`` with the source tree as its only own path."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    # TFX asks pip whether kfp is installed; the project's environment has no pip.
    (programs / "pip").write_text("#!/bin/sh\necho kfp==2.16.0\n")
    (programs / "pip").chmod(0o755)
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HOME": str(folder / "home"),
             "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tfx(folder: Path, *arguments: str) -> str:
    start = "from tfx import components; from tfx.tools.cli.cli_main import cli_group; cli_group()"
    return call(folder, "-c", start, *arguments)


def test_tfx_creates_the_pipeline_of_the_local_runner(tmp_path: Path) -> None:
    runner = str(REPOSITORY / "local_runner.py")
    assert "created successfully" in tfx(tmp_path, "pipeline", "create", "--engine", "local", "--pipeline-path", runner)
    (kept,) = (tmp_path / "home").rglob("pipeline_args.json")
    said = json.loads(kept.read_text())
    assert said["pipeline_name"] == "demo"
    assert said["pipeline_root"] == str(tmp_path / "runs" / "demo" / "pipeline")
    assert not (tmp_path / "runs" / "demo" / "pipeline").exists(), "nothing was run"


def test_tfx_creates_the_package_of_a_workflow_of_ones_own(tmp_path: Path) -> None:
    settings = [*SETTINGS, "name=toys", "runners.kubeflow.pipeline_root=gs://bucket/root"]
    (tmp_path / "toys.py").write_text(
        f"from shelfmark.pipelines import hand_package_to_tfx\nhand_package_to_tfx(None, {settings})\n"
    )
    tfx(tmp_path, "pipeline", "create", "--engine", "vertex", "--pipeline-path", str(tmp_path / "toys.py"))
    (kept,) = (tmp_path / "home").rglob("pipeline.json")
    options = [part for setting in settings for part in ("--set", setting)]
    call(
        tmp_path, "-m", "shelfmark", "compile", "--demo", "--target", "vertex", "--output", "by_command.json", *options
    )
    assert json.loads(kept.read_text()) == json.loads((tmp_path / "by_command.json").read_text())


def test_a_notebook_runs_the_pipeline_on_tfx_s_own_runner(tmp_path: Path) -> None:
    notebook = (
        "from local_runner import create_pipeline\n"
        "from tfx.orchestration.local.local_dag_runner import LocalDagRunner\n"
        "from tfx.orchestration.pipeline import RunOptions\n"
        f"created = create_pipeline(overrides={SETTINGS})\n"
        "LocalDagRunner().run(created, run_options=RunOptions(to_nodes=['ProductExampleGen']))\n"
    )
    call(tmp_path, "-c", notebook)
    database = sqlite3.connect(tmp_path / "runs" / "demo" / "metadata.sqlite")
    uris = [uri for (uri,) in database.execute("SELECT uri FROM Artifact") if "/examples/" in uri]
    assert uris and all(list(Path(uri).glob("Split-train/*")) for uri in uris)


def test_a_notebook_gets_the_steps_that_are_compiled(tmp_path: Path) -> None:
    notebook = (
        "from kfp_runner import create_pipeline\n"
        f"created = create_pipeline(overrides={SETTINGS})\n"
        "print('steps', *sorted(component.id for component in created.components))\n"
    )
    said = call(tmp_path, "-c", notebook).splitlines()[-1].split()[1:]
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    call(tmp_path, "-m", "shelfmark", "compile", "--demo", "--output", "package.yaml", *options)
    package = next(yaml.safe_load_all((tmp_path / "package.yaml").read_text()))
    tasks = set(package["root"]["dag"]["tasks"])
    assert {name for name in said if not name.startswith("LastBlessed")} <= tasks
