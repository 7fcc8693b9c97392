"""The hosted checks are those of .ci/run, and what they run from elsewhere is pinned."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest
import yaml

from pipeline.workflow_file import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def steps() -> list[dict[str, str]]:
    documents = [yaml.safe_load(path.read_text()) for path in WORKFLOWS]
    return [step for document in documents for job in document["jobs"].values() for step in job["steps"]]


def test_every_command_of_the_local_checks_is_run() -> None:
    local = set(re.findall(r"^make .+$", (REPOSITORY / ".ci" / "run").read_text(), re.MULTILINE))
    assert local == {step["run"] for step in steps() if "run" in step}


@pytest.mark.parametrize("variables", [[], ["ENCODER=bge-small"]])
def test_the_demo_s_commands_are_whole(variables: list[str]) -> None:
    """A comma in a condition of make's had torn one in two."""
    make = ["make", "--dry-run", "--no-print-directory", "run", *variables]
    # What a make that runs these tests says of itself (its level, its own variables) is not this one's.
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    printed = subprocess.run(make, capture_output=True, text=True, cwd=REPOSITORY, env=alone)
    *_, command = printed.stdout.strip().splitlines()
    settings = shlex.split(command)[4:]
    assert shlex.split(command)[1:3] == ["run", "workflows/demo.yaml"], printed.stderr
    assert [yaml.safe_load(setting.split("=", 1)[1]) for setting in settings] == [
        {"kind": "encoded", "encoder": "bge-small", "columns": ["title", "brand"]} for _ in variables
    ]


def test_actions_are_pinned_to_a_commit() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_hooks_run_the_programs_that_the_lock_pins() -> None:
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
    assert {repository["repo"] for repository in hooks["repos"]} == {"local"}
    for hook in hooks["repos"][0]["hooks"]:
        assert hook["language"] == "system" and hook["entry"].startswith(".venv/bin/"), hook
    entries = " ".join(hook["entry"] for hook in hooks["repos"][0]["hooks"])
    makefile = (REPOSITORY / "Makefile").read_text()
    for program in re.findall(r"\$\(BIN\)/([\w-]+)", makefile[makefile.index("\nlint:") :].split("\n\n")[0]):
        assert f".venv/bin/{program}" in entries, program
