"""The demo workflow in small, as the emulated cluster runs it."""

from __future__ import annotations

from pathlib import Path

from modules.settings.feed import DemoSettings
from pipeline.demo_feed import write_demo_folder
from pipeline.workflow_file import DEMO_WORKFLOW, LoadedWorkflow, load_workflow

SMALL = (
    # Two columns: most of a small run's time is spent on making graphs.
    "features={title: {kind: text, vocabulary: 300}, brand: {kind: categorical, vocabulary: 50, width: 4}}",
    "training.epochs=3",
    "sampling.size=10",
    "evaluation.thresholds={rule_based: {micro_f1: 0.0}}",
)
"""A model of this kind is always blessed."""


def load_demo(folder: Path, *overrides: str) -> LoadedWorkflow:
    """The workflow, its products in ``folder`` (written if it is not there)."""
    if not folder.exists():
        write_demo_folder(folder, DemoSettings(products=300, images=False))
    return load_workflow(DEMO_WORKFLOW, [*SMALL, *overrides], feed_folder=folder)
