"""Pods: forks of one process that has imported TensorFlow and TFX already, each in a folder of its own.

``python -m tests.kubeflow.emulator.pods`` is that process: one JSON object per line in (command, environment, folder,
log), one out (the exit code).
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

from pipeline.workflow_file import REPOSITORY


class Pods:
    """Runs commands of containers; ``python -m MODULE ...`` is all that is understood."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "2"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kubeflow.emulator.pods"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env=environment,
            text=True,
        )

    def run(self, command: list[str], environment: dict[str, str], folder: Path, log: Path) -> int:
        """The exit code; stdout and stderr go to ``log``."""
        assert self._process.stdin is not None and self._process.stdout is not None
        request = {"command": command, "environment": environment, "folder": str(folder), "log": str(log)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def _child(request: dict[str, Any]) -> None:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    code = 1
    try:
        python, flag, module, *arguments = request["command"]
        assert (python, flag) == ("python", "-m"), request["command"]
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _main() -> None:
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    import tensorflow  # noqa: F401
    from tfx import components  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(request)
        replies.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    _main()
