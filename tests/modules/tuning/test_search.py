"""The search around a training: what it tries, what it keeps, and what it does when it is killed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
import tensorflow as tf

from modules.settings.workflow import Workflow
from modules.training.errors import TrainingError
from modules.tuning.search import SettingsTuner


def workflow(trials: int, method: str = "random", seed: int = 7, **search: Mapping[str, Any]) -> Workflow:
    named = {name.replace("__", "."): values for name, values in search.items()}
    tuning = {"trials": trials, "method": method, "search": named}
    return Workflow.model_validate({"name": "shop", "seed": seed, "tuning": tuning})


RATE = {"low": 1e-4, "high": 1.0, "log": True}


class Bowl:
    """A score that is highest at a learning rate of 0.01; keeps what it was asked for."""

    def __init__(self, fail_at: int | None = None, error: BaseException | None = None):
        self.asked: list[dict[str, Any]] = []
        self.fail_at, self.error = fail_at, error

    def __call__(self, values: Mapping[str, Any], report: Any) -> float:
        self.asked.append(dict(values))
        if self.error is not None and len(self.asked) == self.fail_at:
            raise self.error
        return 1.0 - abs(math.log10(values["training.learning_rate"]) + 2.0) / 4.0


def searched(flow: Workflow, score: Bowl, folder: Path | None = None) -> SettingsTuner:
    tuner = SettingsTuner.of(flow, score, folder)
    tuner.search(verbose=0)
    return tuner


@pytest.mark.parametrize("method", ["random", "bayesian"])
def test_the_best_trial_is_the_best_of_all_that_were_tried(method: str, tmp_path: Path) -> None:
    bowl = Bowl()
    tuner = searched(workflow(9, method, training__learning_rate=RATE), bowl, tmp_path / "t")
    assert len(bowl.asked) == len(tuner.done()) == 9
    best = tuner.get_best_hyperparameters()[0].values
    assert best == max(bowl.asked, key=lambda values: Bowl()(values, None))
    assert all(1e-4 <= values["training.learning_rate"] <= 1.0 for values in bowl.asked)
    tuner.forget()
    assert not (tmp_path / "t").exists()


def test_bayesian_search_learns_from_its_first_trials() -> None:
    asked = {}
    for method in ("random", "bayesian"):
        bowl = Bowl()
        searched(workflow(5, method, training__learning_rate=RATE), bowl).forget()
        asked[method] = bowl.asked
    assert asked["random"][:2] == asked["bayesian"][:2] and asked["random"][2] != asked["bayesian"][2]


def test_the_seed_decides() -> None:
    asked = []
    for seed in (0, 0, 1):
        bowl = Bowl()
        searched(workflow(3, seed=seed, training__learning_rate=RATE), bowl).forget()
        asked.append(bowl.asked)
    assert asked[0] == asked[1] != asked[2]


def test_a_search_ends_when_nothing_is_left_to_try() -> None:
    bowl = Bowl()
    space = {"training__learning_rate": {"choices": [0.1, 0.01]}, "model__hidden": {"choices": [[64], [32, 16]]}}
    tuner = searched(workflow(50, **space), bowl)
    tuner.forget()
    assert len(bowl.asked) == 4
    assert {values["model.hidden"] for values in bowl.asked} == {"[64]", "[32, 16]"}
    assert tuner.get_best_hyperparameters()[0].values["training.learning_rate"] == 0.01


def test_the_same_values_are_not_trained_twice() -> None:
    bowl = Bowl()
    tuner = searched(workflow(12, "bayesian", training__learning_rate={"choices": [0.1, 0.01, 0.001]}), bowl)
    tuner.forget()
    assert len(bowl.asked) == len({values["training.learning_rate"] for values in bowl.asked})
    assert tuner.get_best_hyperparameters()[0].values == {"training.learning_rate": 0.01}


def test_whole_numbers_stay_whole() -> None:
    bowl = Bowl()
    sizes = {"training__batch_size": {"low": 16, "high": 256, "log": True}, "training__epochs": {"low": 2, "high": 5}}
    searched(workflow(8, training__learning_rate=RATE, **sizes), bowl).forget()
    assert all(type(values["training.batch_size"]) is int for values in bowl.asked)
    assert all(16 <= values["training.batch_size"] <= 256 for values in bowl.asked)
    assert all(values["training.epochs"] in range(2, 6) for values in bowl.asked)
    assert all(type(values["training.learning_rate"]) is float for values in bowl.asked)


@pytest.mark.parametrize("fail_at", [1, 3, 6])
def test_a_killed_search_goes_on_with_the_trial_that_it_was_at(fail_at: int, tmp_path: Path) -> None:
    flow = workflow(6, training__learning_rate=RATE)
    whole = Bowl()
    searched(flow, whole).forget()
    killed, again = Bowl(fail_at, KeyboardInterrupt()), Bowl()
    with pytest.raises(KeyboardInterrupt):
        searched(flow, killed, tmp_path)
    tuner = searched(flow, again, tmp_path)
    assert killed.asked[: fail_at - 1] + again.asked == whole.asked
    assert len(tuner.done()) == 6
    assert tuner.get_best_hyperparameters()[0].values == max(whole.asked, key=lambda values: Bowl()(values, None))


def test_what_a_kill_left_broken_is_no_obstacle(tmp_path: Path) -> None:
    flow = workflow(3, training__learning_rate=RATE)
    with pytest.raises(KeyboardInterrupt):
        searched(flow, Bowl(3, KeyboardInterrupt()), tmp_path)
    (tmp_path / "trials" / "oracle.json").write_text('{"ongoing_trials": {')
    again = Bowl()
    searched(flow, again, tmp_path)
    assert len(again.asked) == 3


def test_a_trial_that_has_too_little_memory_is_left_out() -> None:
    bowl = Bowl(2, tf.errors.ResourceExhaustedError(None, None, "OOM"))
    tuner = searched(workflow(4, training__learning_rate=RATE), bowl)
    tuner.forget()
    assert len(bowl.asked) == 4 and len(tuner.done()) == 3


def test_no_trial_at_all_is_said() -> None:
    bowl = Bowl(1, tf.errors.ResourceExhaustedError(None, None, "OOM"))
    with pytest.raises(TrainingError, match="no trial came to an end"):
        searched(workflow(1, training__learning_rate=RATE), bowl)


def test_any_other_error_ends_the_search_and_names_the_trial() -> None:
    with pytest.raises(keras_tuner.errors.FatalError, match=r"trial 2 \(training.learning_rate .*\): broken"):
        searched(workflow(4, training__learning_rate=RATE), Bowl(2, ValueError("broken")))


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    searched(workflow(2, training__learning_rate={"choices": [0.01, 1.0]}), Bowl()).forget()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("trial")]
    assert [line.split()[1] for line in lines] == ["1/2", "2/2"]
    assert lines[-1].endswith("best 1.0000") and "accuracy of exclusive" in lines[-1]
