"""``tuner_fn`` of the Tuner: trains with other settings, one trial after the other, and keeps what each was worth."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import keras_tuner
import tensorflow as tf
import tensorflow_transform as tft
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial, TrialStatus

from modules import progress
from modules.settings.tuning import tuned_objective, with_values
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.choice import with_chosen_model
from modules.training.errors import TrainingError
from modules.training.member import fit_member
from modules.training.run import files_of, prepared
from modules.training.task import Report
from modules.tuning.score import eval_score
from modules.tuning.space import oracle_of

PROJECT = "trials"
_log = logging.getLogger(__name__)


class TuningSearch(NamedTuple):
    """What TFX's executor wants of a ``tuner_fn``."""

    tuner: SettingsTuner
    fit_kwargs: dict[str, Any]


def tuner_fn(fn_args: Any) -> TuningSearch:
    """TFX's entry point.

    Args:
      fn_args: TFX's FnArgs; ``custom_config`` as that of :func:`modules.training.run.run_fn`.

    Raises:
      TrainingError: a split has no label for what is to be learnt.
    """
    config = fn_args.custom_config
    workflow = Workflow.from_part(config["workflow"])
    taxonomy = Taxonomy.load(config["taxonomy"])
    train_files, eval_files = files_of(fn_args.train_files), files_of(fn_args.eval_files)
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    score = trial_score(workflow, taxonomy, transform_output, train_files, eval_files)
    folder = None
    if config.get("checkpoints"):
        parts = [workflow.model_dump_json(), Path(config["taxonomy"]).read_text("utf-8")]
        parts += [f"{name}:{tf.io.gfile.stat(name).length}" for name in [*train_files, *eval_files]]
        name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
        folder = Path(config["checkpoints"]) / f"tuner-{name}"
    # Not verbose: it would print a table of each trial.
    return TuningSearch(SettingsTuner.of(workflow, score, folder), {"verbose": 0})


def trial_score(
    workflow: Workflow,
    taxonomy: Taxonomy,
    transform_output: tft.TFTransformOutput,
    train_files: list[str],
    eval_files: list[str],
) -> Callable[[Mapping[str, Any], Report], float]:
    """A function that trains one model on the train split with other settings and measures it on the eval split.

    It starts as the Trainer does, so that the Trainer's model of the best settings is the best trial's.

    Raises:
      TrainingError: a split has no label for what is to be learnt.
    """
    ready = prepared(workflow, taxonomy, transform_output, train_files, eval_files)
    name = tuned_objective(workflow)
    if not ready.eval_counts[name].any():
        raise TrainingError(f"no product of the eval split has a label for {name}, by which trials are compared")

    def score(values: Mapping[str, Any], report: Report) -> float:
        chosen = with_chosen_model(with_values(workflow, values), ready.label_counts).workflow
        keras.utils.set_random_seed(workflow.seed)
        try:
            model, _ = fit_member(chosen, taxonomy, ready.data, report=report)
            return eval_score(model, chosen, ready.data, name)
        finally:
            # The next trial's model does not find this one's in memory.
            keras.utils.clear_session()

    return score


class SettingsTuner(BaseTuner):
    """KerasTuner's loop around ``score``.

    Its folder holds the trials that are done: a search that was killed goes on with the one that it was at.

    Args:
      workflow: with ``tuning``.
      score: (dotted setting to value, progress report) -> what is to be as high as possible.
      folder: belongs to this search alone; None: a temporary one.
    """

    def __init__(
        self, workflow: Workflow, score: Callable[[Mapping[str, Any], Report], float], folder: Path, overwrite: bool
    ):
        assert workflow.tuning is not None
        self.score, self.trials = score, workflow.tuning.trials
        self.objective_name = tuned_objective(workflow)
        self.metric = workflow.objectives[self.objective_name].main_metric
        super().__init__(
            oracle_of(workflow, self.metric), directory=str(folder), project_name=PROJECT, overwrite=overwrite
        )

    @classmethod
    def of(
        cls, workflow: Workflow, score: Callable[[Mapping[str, Any], Report], float], folder: Path | None = None
    ) -> SettingsTuner:
        """The search as far as ``folder`` has it."""
        folder = folder or Path(tempfile.mkdtemp(prefix="shelfmark-tuner-"))
        if (folder / PROJECT / "tuner0.json").exists():
            try:
                return cls(workflow, score, folder, overwrite=False)
            except (ValueError, KeyError, RuntimeError) as error:
                _log.warning("%s cannot be used, the search starts anew: %s", folder, error)
        # Without that file a trial may lie there that nothing knows of.
        return cls(workflow, score, folder, overwrite=True)

    def run_trial(self, trial: Trial, **_: Any) -> dict[str, float]:
        """Trains and measures; a trial for which memory does not suffice counts as failed, the search goes on.

        Raises:
          keras_tuner.errors.FatalError: anything else went wrong.
        """
        values = trial.hyperparameters.values
        number = self.oracle.start_order.index(trial.trial_id) + 1
        known = next((other.score for other in self.done() if other.hyperparameters.values == values), None)
        try:
            value = self.score(values, self._within(number)) if known is None else known
        except tf.errors.ResourceExhaustedError as error:
            print(f"trial {number}/{self.trials}  {shown(values)}  failed: out of memory", flush=True)
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        except Exception as error:
            raise keras_tuner.errors.FatalError(f"trial {number} ({shown(values)}): {error}") from error
        best = max([value, *(other.score for other in self.done())])
        text = f"{shown(values)}  {self.metric} of {self.objective_name} {value:.4f}, best {best:.4f}"
        print(f"trial {number}/{self.trials}  {text}", flush=True)
        progress.report(number, self.trials, text)
        return {self.metric: value}

    def done(self) -> list[Trial]:
        """The trials that came to an end, in the order they started."""
        trials = [self.oracle.trials[trial_id] for trial_id in self.oracle.start_order]
        return [trial for trial in trials if trial.status == TrialStatus.COMPLETED]

    def on_search_end(self) -> None:
        """Nothing is chosen out of nothing."""
        if not self.done():
            raise TrainingError("no trial came to an end: memory did not suffice for any")

    def forget(self) -> None:
        """Removes what a killed search would go on from."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _within(self, number: int) -> Report:
        def report(done: int, total: int, text: str) -> None:
            progress.report((number - 1) * total + done, self.trials * total, f"trial {number}: {text}")

        return report


def shown(values: Mapping[str, Any]) -> str:
    """Settings and their values in a line."""
    texts = {name: f"{value:.4g}" if isinstance(value, float) else f"{value}" for name, value in values.items()}
    return ", ".join(f"{name} {text}" for name, text in texts.items())
