"""What a stored model answers with: its own taxonomy and settings, whatever the workflow says by now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from modules.examples import MODEL_FACTS, TAXONOMY_FILE
from modules.features import Feature
from modules.settings.committee import CommitteeSettings


def settings_of(model: str) -> str:
    """The parts of the workflow that a model's answers depend on, as JSON, from the facts beside the SavedModel."""
    facts = _facts(model)
    committee = facts.get("committee")
    if committee is not None:
        committee = {key: value for key, value in committee.items() if key in CommitteeSettings.model_fields}
    kept = {key: facts[key] for key in ("objectives", "prediction")}
    return json.dumps({"name": facts["workflow"], **kept, "committee": committee})


def features_of(model: str) -> dict[str, Feature]:
    """The features that a model was trained with."""
    known: dict[str, Feature] = TypeAdapter(dict[str, Feature]).validate_python(_facts(model)["features"])
    return known


def classes_of(model: str) -> dict[str, list[str]]:
    """Objective to the ids of the categories that a model tells apart, in the order of its outputs."""
    classes: dict[str, list[str]] = _facts(model)["classes"]
    return classes


def untaught_objectives(model: str) -> list[str]:
    """The model's objectives for which it had neither label nor names to learn from: their heads say nothing."""
    named = _facts(model).get("from_names", ())
    return [name for name, labels in _training_labels(model).items() if not any(labels) and name not in named]


def guessed_classes(model: str) -> dict[str, list[int]]:
    """Objective to the classes that the model knows by their names alone, without any label."""
    labels = _training_labels(model)
    return {
        name: [number for number, count in enumerate(labels[name]) if not count]
        for name in _facts(model).get("from_names", ())
    }


def thresholds_of(model: str) -> dict[str, list[float]]:
    """Objective to the probabilities from which on its categories are assigned, of kinds that assign several."""
    thresholds: dict[str, list[float]] = _facts(model).get("calibration", {}).get("thresholds", {})
    return thresholds


def is_taught(model: str) -> bool:
    """Whether the model had a label to learn from, for any objective; also of a model that does not say."""
    counts = _training_labels(model)
    return not counts or any(map(any, counts.values()))


def _training_labels(model: str) -> dict[str, list[int]]:
    """Objective to its labels of each class; empty of a model that does not say."""
    counts: dict[str, list[int]] = _facts(model).get("training_labels", {})
    return counts


def _facts(model: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((Path(model) / MODEL_FACTS).read_text("utf-8"))
    return facts


def taxonomy_of(model: str, default: str) -> str:
    """The file with the taxonomy that a model was trained on; ``default`` for a model that came without one."""
    own = Path(model) / TAXONOMY_FILE
    return str(own) if own.exists() else default
