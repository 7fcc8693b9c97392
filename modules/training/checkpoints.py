"""A checkpoint per epoch that a killed training goes on from, as if it had never stopped."""

from __future__ import annotations

import json
import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

_log = logging.getLogger(__name__)
STATE = "state.npz"


class Checkpoints(keras.callbacks.Callback):
    """Writes the whole state of a training after each epoch: parameters, optimiser, random states, early stopping.

    One file, replaced in one step, so that a kill at any moment leaves either the last state or the one before it.

    Args:
      folder: belongs to this training alone (the same settings and inputs).
      stopping: early stopping, whose state is kept as well; None without. Must run before this callback.
    """

    def __init__(self, folder: Path, stopping: Any = None):
        super().__init__()
        self.folder, self.stopping = folder, stopping

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        arrays = {f"variable/{i}": v.numpy() for i, v in enumerate(_variables(self.model))}
        facts: dict[str, Any] = {"epoch": epoch + 1}
        if self.stopping is not None:
            facts["stopping"] = self.stopping.state()
            arrays |= {f"best/{i}": w for i, w in enumerate(self.stopping.weights or ())}
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{STATE}.part"
        with partial.open("wb") as file:
            np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
        os.replace(partial, self.folder / STATE)

    def resume(self, model: keras.Model) -> int:
        """Puts the last state back into the compiled ``model``; returns the epochs that are done (0: none)."""
        path = self.folder / STATE
        if not path.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        variables = _variables(model)
        try:
            with np.load(path) as stored:
                facts = json.loads(stored["facts"].tobytes())
                values = [stored[f"variable/{i}"] for i in range(len(variables))]
                best = [stored[f"best/{i}"] for i in range(sum(name.startswith("best/") for name in stored.files))]
            if any(value.shape != tuple(variable.shape) for value, variable in zip(values, variables, strict=True)):
                raise ValueError("its parameters have other shapes")
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            _log.warning("%s cannot be used, training starts anew: %s", path, error)
            return 0
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        if self.stopping is not None:
            self.stopping.restore(facts["stopping"], best or None)
        return int(facts["epoch"])


def _variables(model: keras.Model) -> list[keras.Variable]:
    """All that an epoch changes: the layers' variables (random states included) and the optimiser's."""
    layers = [variable for layer in model.layers for variable in layer.variables]
    return [*layers, *model.optimizer.variables]
