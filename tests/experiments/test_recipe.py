"""Recipes: what is compared is paired, errs as asked, and survives kills; mistakes are named with their line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from experiments.arms import with_rules
from experiments.catalogue import LabelledCatalogue, catalogue_of, rule_labels
from experiments.play import answers_of
from experiments.results import RESULTS_FILE, ROUNDS_FOLDER
from experiments.workers import Task, play_all
from modules.errors import InputError
from modules.rules import load_rules
from pipeline.recipe_file import load_recipe
from shelfmark.cli import app
from shelfmark.cli.experiment_recipe import experiment_of
from tests.experiments.test_label_efficiency import feed

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOW = """
name: tiny
feed: {files: [feed.jsonl], fields: {truth: truth}}
taxonomy: {from_truth: true}
rules: {file: rules.yaml}
labels: {truth: {splits: [test], evaluate: true}}
features: {title: {kind: text, vocabulary: 200}}
model: {kind: deep, hidden: [8]}
training: {solver: adam, epochs: 2, learning_rate: 0.05, mixed_precision: "off"}
"""
RECIPE = """
description: does it save labels?
workflow: workflow.yaml
arms:
  plain:
    strategy: random
    changes: &lsa
      objectives: {rule_based: null}
      model: {kind: lsa, embedding_width: 16}
      training: {solver: liblinear}
  half:
    strategy: margin
    labels: {sampling: both}
    labeller: {error_rate: 0.2, seconds: {label: 8, round: 30}}
    changes: *lsa
  ruled: {strategy: margin}
seeds: 2
budget: 30
batch: 10
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    lines = [json.dumps({"id": p.id, "title": p.text["title"], "truth": " > ".join(p.truth)}) for p in feed()]
    (folder / "feed.jsonl").write_text("\n".join(lines))
    (folder / "rules.yaml").write_text(RULES)
    (folder / "workflow.yaml").write_text(WORKFLOW)
    (folder / "recipe.yaml").write_text(RECIPE.replace("&lsa", "").replace("*lsa", LSA))
    return folder


LSA = "{objectives: {rule_based: null}, model: {kind: lsa, embedding_width: 16}, training: {solver: liblinear}}"
RULES = """
- {id: boots, category: Shoes > Boots, if: {title: {words: boot}}}
"""
