"""The workflow's search as KerasTuner's, in names and values."""

from __future__ import annotations

import keras_tuner

from modules.settings.tuning import encoded, whole
from modules.settings.workflow import Workflow


def search_space(workflow: Workflow) -> keras_tuner.HyperParameters:
    """A hyperparameter per searched setting, under the setting's dotted name."""
    assert workflow.tuning is not None
    space = keras_tuner.HyperParameters()
    for name, search in workflow.tuning.search.items():
        sampling = "log" if search.log else "linear"
        if search.choices is not None:
            space.Choice(name, encoded(search.choices))
        elif whole(name, workflow):
            ends = search.tried
            space.Int(name, ends["low"], ends["high"], sampling=sampling)
        else:
            space.Float(name, search.low, search.high, sampling=sampling)
    return space


def oracle_of(workflow: Workflow, metric: str) -> keras_tuner.Oracle:
    """What chooses each trial's values, from the workflow's seed; ``metric``: the name of what is to be high."""
    tuning = workflow.tuning
    assert tuning is not None
    # A seed of 0 is none to KerasTuner.
    common = {
        "objective": keras_tuner.Objective(metric, "max"),
        "max_trials": tuning.trials,
        "hyperparameters": search_space(workflow),
        "allow_new_entries": False,
        "tune_new_entries": False,
        "seed": workflow.seed + 1,
    }
    if tuning.method == "random":
        return keras_tuner.oracles.RandomSearchOracle(**common)
    # Not three random trials per setting, KerasTuner's default, where that leaves none to choose.
    first = max(2, min(3 * len(tuning.search), tuning.trials // 2))
    return keras_tuner.oracles.BayesianOptimizationOracle(num_initial_points=first, **common)
