"""KFP's own Go code as a judge: its API server's parser and argocompiler, built into a program.

The module github.com/kubeflow/pipelines is taken from a checkout that ``KFP_SOURCE`` names (``git clone --branch 2.16.1
https://github.com/kubeflow/pipelines``), or from the Go module proxy where that has it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

MODULE, TAG = "github.com/kubeflow/pipelines", "2.16.1"
SOURCE = "KFP_SOURCE"
_PLACE = "backend/src/v2/cmd/shelfmark"


class NotHere(Exception):
    """Go or the module cannot be had; says why."""


@cache
def build(folder: Path) -> Path:
    """The program, built into ``folder``; some minutes the first time.

    Raises:
      NotHere: no Go, or no source.
    """
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        raise NotHere("there is no Go compiler")
    source = _source(go, folder)
    overlay, program = folder / "overlay.json", folder / "kfp-backend"
    main = Path(__file__).with_name("main.go")
    overlay.write_text(json.dumps({"Replace": {str(source / _PLACE / "main.go"): str(main)}}))
    command = [go, "build", "-overlay", str(overlay), "-o", str(program), f"./{_PLACE}"]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    if done.returncode:
        raise NotHere(f"{MODULE} cannot be built: {done.stderr.strip().splitlines()[-1]}")
    return program


def judge(program: Path, package: Path, parameters: str, root: str) -> subprocess.CompletedProcess[str]:
    """What the server makes of a package: the Argo workflow on stdout, or its error on stderr."""
    return subprocess.run([program, package, parameters, root], capture_output=True, text=True)


def _source(go: str, folder: Path) -> Path:
    named = os.environ.get(SOURCE)
    if named:
        return Path(named)
    (folder / "go.mod").write_text("module test\n")
    done = subprocess.run(
        [go, "mod", "download", "-json", f"{MODULE}@{TAG}"], cwd=folder, capture_output=True, text=True
    )
    answer = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in answer:
        reason = str(answer.get("Error") or done.stderr).strip().splitlines()[-1].strip()
        raise NotHere(f"{MODULE}@{TAG} is not in the module proxy ({reason}); name a checkout in {SOURCE}")
    return Path(answer["Dir"])
