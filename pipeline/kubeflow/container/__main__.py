"""Runs a task and leaves at once: TensorFlow's teardown can crash a process that has done its work."""

from __future__ import annotations

import os
import sys
import traceback


def run(arguments: list[str]) -> int:
    """The exit code: 0, or 1 with the problem on stderr."""
    from modules.errors import InputError
    from pipeline.kubeflow.container.tasks import run_task

    try:
        run_task(arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
