"""Where a run can be started: a runner per file, and the one function that starts it."""

from shelfmark.runners.base import Runner, start
from shelfmark.runners.kubeflow import KubeflowRunner, compile_package
from shelfmark.runners.local import LocalRunner

__all__ = ["KubeflowRunner", "LocalRunner", "Runner", "compile_package", "start"]
