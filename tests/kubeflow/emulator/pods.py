"""Pods: forks of one process that has imported TensorFlow and TFX already, each in a folder of its own; or containers.

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


class ImagePods:
    """Runs commands of containers in the built image, by ``buildah run``: its user, its environment, its folders.

    What the emulator calls the pod's folder is the container's root: the paths in the command are those of a cluster.

    Args:
      run: the command that starts a process in the container, up to the options.
      volumes: what pods mount for reading: path in the container to folder of this machine.
      user: the user id of the image, to which the launcher's folders belong.
    """

    def __init__(self, run: list[str], container: str, volumes: dict[str, Path], user: int):
        self._run, self._container, self._volumes, self._user = run, container, volumes, user

    def run(self, command: list[str], environment: dict[str, str], folder: Path, log: Path) -> int:
        """The exit code; stdout and stderr go to ``log``."""
        mounts = {f"/{path.name}": path for path in folder.iterdir()}
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self._user, self._user)
        options = [f"--volume={path}:{inside}" for inside, path in mounts.items()]
        options += [f"--volume={path}:{inside}:ro" for inside, path in self._volumes.items()]
        options += [f"--env={name}={value.replace(str(folder), '') or '/'}" for name, value in environment.items()]
        inside = [argument.replace(str(folder), "") for argument in command]
        with log.open("ab") as output:
            called = [*self._run, *options, self._container, "--", *inside]
            return subprocess.run(called, stdout=output, stderr=subprocess.STDOUT, timeout=1200).returncode


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
