"""Small files of this machine that travel inside of the package, as values of the component's own parameter."""

from __future__ import annotations

import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from pipeline.kubeflow.document import Package

MARK = "file:inline,"


def inline_file(package: Package, task: str, parameter: str) -> None:
    """Replaces a path by the file's text. Text of a pod's arguments has to stay small: 128 KiB for all of them."""
    value = package.tasks[task]["inputs"]["parameters"][parameter]["runtimeValue"]
    path = Path(value["constant"])
    value["constant"] = f"{MARK}{path.name},{path.read_text('utf-8')}"


def unpack_files(properties: MutableMapping[str, Any]) -> None:
    """In the pod: writes such texts to temporary files and puts their paths in."""
    for name, value in properties.items():
        if isinstance(value, str) and value.startswith(MARK):
            file, _, text = value.removeprefix(MARK).partition(",")
            path = Path(tempfile.mkdtemp(prefix="inline-")) / Path(file).name
            path.write_text(text, "utf-8")
            properties[name] = str(path)
