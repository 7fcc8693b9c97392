"""The schema that examples are validated against, as a file that TFX can import."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modules.feeds.schema import of_workflow
from pipeline.workflow_file import REPOSITORY, LoadedWorkflow

PRODUCT_SCHEMA = REPOSITORY / "schemas" / "product.schema.pbtxt"


def write_run_schema(loaded: LoadedWorkflow, folder: Path) -> Path:
    """Writes the workflow's schema (or the package's) with its objectives' features.

    The name changes with the content: TFX's cache looks at the name alone.
    """
    given = loaded.workflow.validation.schema_file
    source = loaded.find(given) if given else PRODUCT_SCHEMA
    text = of_workflow(source.read_text("utf-8"), loaded.workflow)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"schema-{hashlib.sha256(text.encode()).hexdigest()[:12]}.pbtxt"
    path.write_text(text, "utf-8")
    return path
