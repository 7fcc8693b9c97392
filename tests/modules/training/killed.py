"""A training for another process to kill: says ``epoch <n>`` when an epoch's checkpoint has been written."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import tensorflow_transform as tft

from modules.models.build import build_model
from modules.settings.workflow import Workflow
from modules.training.data import batches
from modules.training.fit import Heads, fit, losses_of
from modules.training.run import input_sizes


def main(transform: str, train_file: str, eval_file: str, checkpoints: str, workflow: str) -> None:
    """Fits with a checkpoint per epoch."""
    settings = Workflow.model_validate_json(workflow)
    keras.utils.set_random_seed(7)
    counts = {"exclusive": 4, "rule_based": 6}
    model = build_model(settings, input_sizes(settings, tft.TFTransformOutput(transform), counts))
    train = batches(
        [train_file],
        settings.features,
        settings.objectives,
        counts,
        batch_size=settings.training.batch_size,
        shuffle_seed=7,
    )
    validation = batches([eval_file], settings.features, settings.objectives, counts, batch_size=64)
    heads = Heads(settings.objectives, losses_of(settings.objectives, {}), settings.model.weight_penalty)
    fit(
        model, settings.training, heads, train, validation, steps_per_epoch=8,
        checkpoints=Path(checkpoints),
        report=lambda done, total, text: print(f"epoch {done}", flush=True),
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
