"""What an experiment leaves in its folder: settings, checkpoints, and one table of all rounds."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from experiments.arms import Arm, Experiment
from experiments.play import SimulatedRound
from modules.counting import counted
from modules.errors import InputError, Problem
from modules.query_strategies import strategy
from modules.reporting.learning_curves import FIGURES, Curve, LearningCurves

SETTINGS_FILE = "settings.json"
RESULTS_FILE = "results.parquet"
PAGE_FILE = "learning_curves.html"
COMPARISON_FILE = "comparison.md"
ROUNDS_FOLDER = "rounds"

Played = Mapping[tuple[str, int], Sequence[SimulatedRound]]
"""Arm and seed to the rounds so far."""

_FIELDS = {
    "catalogue": pa.string(), "model": pa.string(), "arm": pa.string(), "strategy": pa.string(), "seed": pa.int64(),
    "round": pa.int32(), "labels": pa.int32(), "accuracy": pa.float64(), "macro_f1": pa.float64(),
    "labelled_classes": pa.int32(), "select_seconds": pa.float64(), "fit_seconds": pa.float64(),
    "picked": pa.list_(pa.string()), "top_5_accuracy": pa.float64(), "drawn": pa.int32(), "wrong": pa.int32(),
    "labelling_seconds": pa.float64(),
}  # fmt: skip


def describe(experiment: Experiment) -> dict[str, Any]:
    """All that the results depend on, as JSON; versions of what computes them on top."""
    packages = ("shelfmark", "numpy", "scikit-learn", "tensorflow")
    return {
        "catalogue": experiment.catalogue,
        "fingerprint": experiment.products.fingerprint(),
        "products": len(experiment.products.products),
        "classes": experiment.products.classes,
        "settings": experiment.recipe.model_dump(
            mode="json", exclude={"description", "workflow", "feed", "changes", "arms"}
        ),
        "arms": {name: _described(arm) for name, arm in experiment.arms.items()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def _described(arm: Arm) -> dict[str, Any]:
    settings = arm.settings
    described = {
        "strategy": strategy(settings.strategy).model_dump(mode="json"),
        **settings.model_dump(mode="json", include={"batch", "labels", "labeller"}),
        "workflow": json.loads(
            arm.workflow.model_dump_json(include={"name", "seed", "features", "objectives", "model", "training"})
        ),
    }
    if arm.rules is not None:
        arrays = (np.ascontiguousarray(array) for array in (arm.rules.indptr, arm.rules.indices))
        described["rules"] = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]
    return described


def digest(described: Mapping[str, Any]) -> str:
    """Names an experiment: eight hexadecimal digits of all that its results depend on."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:8]


def claim(folder: Path, described: Mapping[str, Any]) -> None:
    """Notes the settings in the folder, or checks that they are the ones noted there.

    Raises:
      InputError: the folder holds an experiment with other settings.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        write_atomically(path, json.dumps(described, indent=1).encode())
        return
    before = json.loads(path.read_bytes())
    other = sorted(key for key in {*before, *described} if before.get(key) != described.get(key))
    if other:
        hint = "name another folder with --output, or delete this one"
        expected = f"an experiment with the same settings; there is one with other {', '.join(other)}"
        raise InputError(Problem(str(path), expected, hint=hint))


def checkpoint(folder: Path, arm: str, seed: int) -> Path:
    """Where the rounds of an arm and a seed are kept."""
    return folder / ROUNDS_FOLDER / f"{arm}-{seed}.json"


def read_rounds(path: Path) -> list[SimulatedRound]:
    """The rounds of a checkpoint; none if there is no file."""
    if not path.exists():
        return []
    return [SimulatedRound(**{**row, "picked": tuple(row["picked"])}) for row in json.loads(path.read_bytes())]


def write_rounds(path: Path, rounds: Sequence[SimulatedRound]) -> None:
    """Writes a checkpoint."""
    write_atomically(path, json.dumps([asdict(round_) for round_ in rounds]).encode())


def write_results(folder: Path, experiment: Experiment, described: Mapping[str, Any], played: Played) -> None:
    """One row per arm, seed and round; the exact settings are the table's metadata."""
    rows = []
    for (name, seed), rounds in played.items():
        arm = experiment.arms[name]
        facts = {"catalogue": experiment.catalogue, "model": described["arms"][name]["workflow"]["model"]["kind"],
                 "arm": name, "strategy": arm.settings.strategy, "seed": seed}  # fmt: skip
        costs, batches = arm.settings.labeller.seconds, 0
        for number, round_ in enumerate(rounds):
            batches += bool(round_.picked)
            seconds = costs.label * round_.labels + costs.round * batches
            rows.append({**facts, "round": number, **asdict(round_), "labelling_seconds": seconds})
    schema = pa.schema(_FIELDS, {"shelfmark": json.dumps(described)})
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), sink, compression="zstd")
    write_atomically(folder / RESULTS_FILE, sink.getvalue())


def write_atomically(path: Path, content: bytes) -> None:
    """A reader, also one after a kill, finds the file as it was or complete."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def page_of(experiment: Experiment, described: Mapping[str, Any], played: Played) -> LearningCurves:
    """The learning curves that the page shows of the rounds."""
    recipe, curves = experiment.recipe, []
    for (name, seed), rounds in played.items():
        if rounds:
            values = {figure: [getattr(round_, figure) for round_ in rounds] for figure in FIGURES}
            curves.append(Curve(name, seed, [r.labels for r in rounds], values, [r.seconds for r in rounds]))
    kinds = dict.fromkeys(arm["workflow"]["model"]["kind"] for arm in described["arms"].values())
    facts = [
        f"{counted(described['products'], 'product')} of distinct titles, "
        f"{counted(described['classes'], 'category')} of at least {recipe.minimum}; "
        f"{counted(round(recipe.held_out * described['products']), 'product')} held out",
        f"model {', '.join(kinds)}, batches of {recipe.batch}, {counted(recipe.seeds, 'seed')}; "
        "the truth answers in people's place",
    ]
    shown = [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in described.items()]
    title, targets = f"{experiment.title} on {experiment.catalogue}", dict(recipe.targets)
    return LearningCurves(title, curves, targets, shown, facts, recipe.compared_with)
