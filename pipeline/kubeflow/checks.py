"""What cannot be mended is said: of a TFX pipeline before anything is compiled, of a package before it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from modules.counting import counted
from modules.errors import InputError, Problem
from pipeline.kubeflow.document import Package

_TITLE = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")
LONGEST_ARGUMENT = 32 * 4096 - 1
"""Bytes of one argument that Linux takes (MAX_ARG_STRLEN, less its terminating zero)."""
_CLOUD = ("gs://", "s3://", "minio://", "oci://")


def check_pipeline(pipeline: Any) -> None:
    """Checks the nodes of a TFX pipeline.

    Raises:
      InputError: a component that Kubeflow cannot run, an artifact type under a name that it cannot take, or an
        importer of something that pods do not see.
    """
    from tfx.components import InfraValidator
    from tfx.dsl.components.common.importer import SOURCE_URI_KEY, Importer
    from tfx.orchestration.kubeflow.v2.compiler_utils import TITLE_TO_CLASS_PATH

    problems = []
    for node in pipeline.components:
        if isinstance(node, InfraValidator):
            hint = "leave it out, or validate the model with the Evaluator"
            problems.append(Problem("", "InfraValidator cannot run on Kubeflow", key=node.id, hint=hint))
        if isinstance(node, Importer):
            uri = node.exec_properties[SOURCE_URI_KEY]
            if isinstance(uri, str) and not uri.startswith(_CLOUD):
                expected = "a gs://, s3:// or minio:// address: pods do not see this machine's files"
                problems.append(Problem("", expected, key=node.id, value=uri))
        for key, channel in node.outputs.items():
            name = channel.type.TYPE_NAME
            if f"tfx.{name}" not in TITLE_TO_CLASS_PATH and not _TITLE.fullmatch(name):
                expected = f"the artifact type to be named <module>.<Class> with exactly one dot, not {name!r}"
                problems.append(Problem("", expected, key=f"{node.id}.{key}"))
    if problems:
        raise InputError(problems)


def check_sizes(package: Package) -> None:
    """Checks that every pod of the package can be started.

    KFP hands each part of a package to its driver and launcher as one command line argument.

    Raises:
      InputError: an argument would be longer than Linux takes.
    """
    problems = [
        Problem(
            "",
            f"at most {LONGEST_ARGUMENT:,} bytes, the longest argument that Linux takes: Kubeflow could not start it",
            key=what,
            value=counted(size, "byte"),
            hint="shorten what is long in the workflow file: evaluation.thresholds, features, runners.kubeflow",
        )
        for what, size in _arguments(package)
        if size > LONGEST_ARGUMENT
    ]
    if problems:
        raise InputError(problems)


def _arguments(package: Package) -> Iterator[tuple[str, int]]:
    """What becomes an argument, and its bytes."""
    yield "the pipeline's root (--component)", _size(package.spec["root"])
    for name, component in package.components.items():
        yield f"{name} (--component)", _size(component)
    for name, task in package.all_tasks():
        yield f"{name} (--task)", _size(task)
    for label, executor in package.executors.items():
        container = executor.get("container", {})
        yield f"{label} (--container)", _size(container)
        for argument in (*container.get("command", ()), *container.get("args", ())):
            yield f"{label} (an argument of its own)", len(str(argument).encode())
    for label, settings in package.kubernetes.items():
        yield f"{label} (--kubernetes_config)", _size(settings)


def _size(part: Any) -> int:
    """Bytes of JSON as Go writes it: <, > and & take six each."""
    text = json.dumps(part, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode()) + 5 * sum(map(text.count, "<>&"))
