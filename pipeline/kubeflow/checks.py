"""What cannot be mended is said before anything is compiled."""

from __future__ import annotations

import re
from typing import Any

from modules.errors import InputError, Problem

_TITLE = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")
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
