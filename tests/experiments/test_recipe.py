"""Recipes: what is compared is paired, errs as asked, and survives kills; mistakes are named with their line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.catalogue import catalogue_of, rule_labels
from experiments.play import answers_of
from experiments.results import COMPARISON_FILE, RESULTS_FILE
from modules.errors import InputError
from modules.feeds.plan import load_rule_set
from pipeline.inputs import example_settings, taxonomy_of
from pipeline.recipe_file import load_recipe
from shelfmark.cli.experiment_recipe import experiment_of
from tests.experiments.test_label_efficiency import feed, rows

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
LSA = "{objectives: {rule_based: null}, model: {kind: lsa, embedding_width: 16}, training: {solver: liblinear}}"
RECIPE = f"""
description: does it save labels?
workflow: workflow.yaml
arms:
  plain: {{strategy: random, changes: {LSA}}}
  half:
    strategy: margin
    labels: {{sampling: both}}
    labeller: {{error_rate: 0.3, seconds: {{label: 8, round: 30}}}}
    changes: {LSA}
  ruled: {{strategy: margin}}
seeds: 2
budget: 30
batch: 10
targets: {{accuracy: 0.5}}
"""
RULES = """
rules:
  - {id: boots, category: Shoes > Boots, when: {field: title, word: boot}}
  - {id: bags, category: Bags > Totes, when: {field: title, word: tote}}
"""
RUNS = {(seed, arm) for seed in (1, 2) for arm in ("plain", "half", "ruled")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    lines = [json.dumps({"id": p.id, "title": p.text["title"], "truth": " > ".join(p.truth)}) for p in feed()]
    (folder / "feed.jsonl").write_text("\n".join(lines))
    for name, text in {"rules.yaml": RULES, "workflow.yaml": WORKFLOW, "recipe.yaml": RECIPE}.items():
        (folder / name).write_text(text)
    return folder


def started(folder: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "shelfmark", "experiment", "run", "recipe.yaml", "--output", str(output), *options]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def until(process: subprocess.Popen[str], wanted: Callable[[str], bool]) -> str:
    """Reads what the program prints up to a line."""
    assert process.stdout is not None
    for line in process.stdout:
        if wanted(line):
            return line
    raise AssertionError("the program ended before")


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    process = started(folder, folder / "whole", "--jobs", "2")
    printed, _ = process.communicate(timeout=900)
    assert process.returncode == 0, printed
    assert "labels needed for accuracy 0.5 by half" in printed
    assert "half: ahead in" in printed and "of 2 seeds, too few to tell it from chance" in printed
    assert "| half | plain | " in (folder / "whole" / COMPARISON_FILE).read_text()
    return folder / "whole"


@pytest.mark.slow
def test_the_arms_of_a_seed_are_paired(whole: Path, folder: Path) -> None:
    table = rows(whole)
    assert {(row["seed"], row["arm"]) for row in table} == RUNS and len(table) == 18
    experiment = experiment_of("recipe", *_recipe(folder / "recipe.yaml"))
    catalogue = experiment.products
    for seed in (1, 2):
        first = {tuple(row["picked"]) for row in table if (row["seed"], row["labels"]) == (seed, 10)}  # type: ignore
        assert len(first) == 1
        held_out = {catalogue.products[row].id for row in catalogue.held_out(0.2, seed)[1]}
        picked = {name for row in table if row["seed"] == seed for name in row["picked"]}  # type: ignore[attr-defined]
        assert not held_out & picked
    drawn = {arm: [row["drawn"] for row in table if (row["arm"], row["seed"]) == (arm, 1)] for _, arm in RUNS}
    assert drawn == {"plain": [10, 0, 0], "half": [10, 0, 5], "ruled": [10, 0, 0]}
    # The labeller's errors are those of the products that were picked, and cost what the recipe says.
    answers = answers_of(catalogue, 0.3, siblings=True, seed=1)
    wrong = {p.id for p, a, b in zip(catalogue.products, answers, catalogue.truth, strict=True) if a != b}
    for number, row in enumerate(row for row in table if (row["arm"], row["seed"]) == ("half", 1)):
        assert row["wrong"] == len(wrong & set(row["picked"]))  # type: ignore[call-overload]
        assert row["labelling_seconds"] == 8 * row["labels"] + 30 * (number + 1)  # type: ignore[operator]
    kept = json.loads(pq.read_schema(whole / RESULTS_FILE).metadata[b"shelfmark"])
    assert kept["arms"]["half"]["labeller"]["error_rate"] == 0.3 and "rules" in kept["arms"]["ruled"]
    assert list(kept["arms"]["ruled"]["workflow"]["objectives"]) == ["exclusive", "rule_based"]
    assert list(kept["arms"]["plain"]["workflow"]["objectives"]) == ["exclusive"]


@pytest.mark.slow
def test_a_killed_worker_is_named_and_a_killed_program_goes_on(whole: Path, folder: Path, tmp_path: Path) -> None:
    process = started(folder, tmp_path, "--jobs", "1")
    line = until(process, lambda line: "10 labels" in line)
    (worker,) = workers_of(process)
    os.kill(worker, signal.SIGKILL)
    printed, _ = process.communicate(timeout=900)
    assert process.returncode == 2
    arm, seed = line.split(" seed ")[0], int(line.split(" seed ")[1].partition(":")[0])
    assert f"{arm} seed {seed}: its process was killed by SIGKILL" in printed
    ended = {(row["seed"], row["arm"]) for row in rows(tmp_path) if row["labels"] == 30}
    assert ended >= RUNS - {(seed, arm)}
    # The program itself, after a round more of what is left, or of all.
    for left in (2, 1):
        for path in sorted((tmp_path / "rounds").glob("*.json"))[:left]:
            path.unlink()
        process = started(folder, tmp_path, "--jobs", "2")
        until(process, lambda line: "labels" in line)
        process.kill()
        process.wait(60)
    process = started(folder, tmp_path, "--jobs", "1")
    printed, _ = process.communicate(timeout=900)
    assert process.returncode == 0, printed
    assert rows(tmp_path) == rows(whole)


@pytest.mark.slow
def test_a_dry_run_measures_every_arm_and_keeps_nothing(folder: Path, tmp_path: Path) -> None:
    process = started(folder, tmp_path, "--dry-run", "--jobs", "2")
    printed, _ = process.communicate(timeout=900)
    assert process.returncode == 0, printed
    assert all(any(line.split()[:1] == [arm] for line in printed.splitlines()) for _, arm in RUNS)
    assert "6 runs:" in printed and "next: shelfmark experiment run recipe.yaml" in printed
    assert not (tmp_path / RESULTS_FILE).exists()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 0.9), st.floats(0.0, 0.9), st.booleans(), st.integers(0, 1000))
def test_a_labeller_errs_as_often_as_asked(rate: float, other: float, siblings: bool, seed: int) -> None:
    catalogue = catalogue_of(feed(1000), minimum=10)
    low, high = sorted((rate, other))
    answers = answers_of(catalogue, high, siblings=siblings, seed=seed)
    wrong = answers != catalogue.truth
    # Five standard deviations.
    assert abs(wrong.mean() - high) <= 5 * np.sqrt(high * (1 - high) / len(wrong)) + 1e-9
    assert (answers == answers_of(catalogue, high, siblings=siblings, seed=seed)).all()
    assert not ((answers_of(catalogue, low, siblings=siblings, seed=seed) != catalogue.truth) & ~wrong).any()
    paths = [category.path for category in catalogue.taxonomy.exclusive]
    if siblings:
        assert all(paths[a][:-1] == paths[b][:-1] for a, b in zip(answers, catalogue.truth, strict=True))
    elif high > 0.3:
        assert any(paths[a][:-1] != paths[b][:-1] for a, b in zip(answers, catalogue.truth, strict=True))


def _recipe(path: Path) -> tuple[Any, Any]:
    loaded = load_recipe(path)
    return loaded.recipe, loaded.arms


def test_rules_label_the_products_that_they_reach(folder: Path) -> None:
    recipe, arms = _recipe(folder / "recipe.yaml")
    experiment = experiment_of("recipe", recipe, arms)
    ruled = experiment.arms["ruled"]
    assert ruled.rules is not None and experiment.arms["plain"].rules is None
    names = [" > ".join(category.path) for category in ruled.catalogue.taxonomy]
    for product, row in zip(ruled.catalogue.products, ruled.rules, strict=True):
        words = product.text["title"].split()
        expected = {"Shoes", "Shoes > Boots"} if "boot" in words else set()
        expected |= {"Bags", "Bags > Totes"} if "tote" in words else set()
        assert {names[column] for column in row.indices} == expected
    # Categories that the catalogue does not have are left out.
    rule_set = load_rule_set(example_settings(arms["ruled"]), str(folder), taxonomy_of(arms["ruled"]))
    assert rule_set is not None
    few = catalogue_of([p for p in feed() if p.truth[0] == "Bags"], minimum=10)
    assert rule_labels(few, rule_set).shape == (len(few.products), len(few.taxonomy))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (("budget: 30", "budgt: 30"), [":13: budgt", "did you mean 'budget'"]),
        (("{sampling: both}", "{sampling: bth}"), [":8: arms.half.labels.sampling", "random, strategy, both"]),
        (("strategy: random", "strategy: randm"), [":5: arms.plain.strategy", "did you mean 'random'"]),
        (("embedding_width", "embedding_wdth"), [":5: model.embedding_wdth", ":10: model.embedding_wdth"]),
        (("seeds: 2", "baseline: none"), [":12: baseline", "one of: plain, half, ruled"]),
        (("{strategy: margin}", "{changes: {feed: {files: [x]}}}"), [":11: arms.ruled.changes.feed", "all arms share"]),
        (("targets: {accuracy", "targets: {recall"), ["targets.recall", "accuracy, macro_f1"]),
        (("workflow: workflow.yaml", "seeds: 1"), [":12: seeds: given twice"]),
        (("workflow: workflow.yaml", "first_seed: 1"), ["--workflow FILE"]),
    ],
)
def test_mistakes_are_named_with_their_line(
    folder: Path, tmp_path: Path, changed: tuple[str, str], expected: list[str]
) -> None:
    assert changed[0] in RECIPE
    text = RECIPE.replace(*changed).replace(" workflow.yaml", f" {folder / 'workflow.yaml'}")
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(InputError) as raised:
        load_recipe(tmp_path / "wrong.yaml")
    assert all(part in str(raised.value) for part in expected), raised.value


def test_a_second_objective_that_would_teach_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    text = RECIPE.replace("objectives: {rule_based: null}, ", "").replace(
        " workflow.yaml", f" {folder / 'workflow.yaml'}"
    )
    (tmp_path / "alone.yaml").write_text(text)
    with pytest.raises(InputError, match=r"objectives\.rule_based: expected training\.solver: adam.*change nothing"):
        experiment_of("alone", *_recipe(tmp_path / "alone.yaml"))


@pytest.mark.parametrize("name", ["six_settings", "strategies"])
def test_the_recipes_that_come_along_fit_any_workflow(folder: Path, name: str) -> None:
    path = REPOSITORY / "workflows" / "recipes" / f"{name}.yaml"
    loaded = load_recipe(path, folder / "workflow.yaml")
    experiment = experiment_of(name, loaded.recipe, loaded.arms)
    taught = [arm for arm, made in experiment.arms.items() if made.rules is not None]
    assert taught == (["rules-random", "rules-uncertainty", "rules-both"] if name == "six_settings" else [])
    assert f"experiment run workflows/recipes/{name}.yaml" in loaded.recipe.description
