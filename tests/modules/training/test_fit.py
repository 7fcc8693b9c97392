"""The training loop: reproducible, stops early at the best epoch, goes on where it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from modules.models.build import build_model
from modules.settings.workflow import Workflow
from modules.training.checkpoints import STATE, Checkpoints
from modules.training.data import batches
from modules.training.fit import BestEpoch, compile_model, fit, losses_of
from modules.training.methods.base import FitResult
from modules.training.optimizer import LazyAdam
from modules.training.run import input_sizes
from tests.modules.training.shared import TRAINING, Built, class_counts, heads_of, tiny

FEATURES = ("title", "brand", "price")
MODEL = {"kind": "wide_deep", "hidden": [12], "normalization": "batch", "dropout": 0.3, "input_dropout": 0.2}


def settings_for(**training) -> Workflow:
    return tiny(FEATURES, model=MODEL, training={**TRAINING, **training})


def run(built: Built, settings: Workflow, seed: int = 7, **kwargs) -> tuple[keras.Model, FitResult]:
    """Builds and fits a model as a fresh process would."""
    keras.utils.set_random_seed(seed)
    counts = class_counts()
    model = build_model(settings, input_sizes(settings, built.transform, counts))
    size = settings.training.batch_size
    train = batches(
        [built.files["train"]], settings.features, settings.objectives, counts, batch_size=size, shuffle_seed=seed
    )
    validation = batches([built.files["eval"]], settings.features, settings.objectives, counts, batch_size=64)
    result = fit(
        model,
        settings.training,
        heads_of(settings),
        train,
        validation,
        steps_per_epoch=240 // size + 1,
        **kwargs,
    )
    return model, result


def assert_same(first: keras.Model, second: keras.Model) -> None:
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


class Killed(BaseException):
    """What no handler in between catches."""


class KillAfter(keras.callbacks.Callback):
    """Ends the training in the middle of the epoch after ``epochs``."""

    def __init__(self, epochs: int):
        super().__init__()
        self.epochs, self.epoch = epochs, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.epochs and batch == 1:
            raise Killed


@pytest.fixture(scope="module")
def whole(built, tmp_path_factory) -> tuple[keras.Model, FitResult, Path]:
    """Four epochs without a break, and the folder with the last one's checkpoint."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return *run(built, settings_for(epochs=4, patience=0), checkpoints=folder), folder


def test_two_trainings_of_one_seed_are_the_same_bit_for_bit(built, whole):
    again, result = run(built, settings_for(epochs=4, patience=0))
    assert_same(whole[0], again)
    assert result.history == whole[1].history


def test_a_killed_training_goes_on_as_if_it_had_not_been(built, whole, tmp_path):
    settings = settings_for(epochs=4, patience=0)
    with pytest.raises(Killed):
        run(built, settings, checkpoints=tmp_path, callbacks=[KillAfter(2)])
    told = []
    model, result = run(built, settings, checkpoints=tmp_path, report=lambda done, total, _: told.append((done, total)))
    assert told == [(3, 4), (4, 4)]
    assert_same(whole[0], model)
    assert result.history == whole[1].history and result.epochs == 4
    assert result.best_epoch == whole[1].best_epoch


def test_a_training_killed_after_its_last_epoch_trains_no_further(built, whole):
    told = []
    settings = settings_for(epochs=4, patience=0)
    model, result = run(built, settings, checkpoints=whole[2], report=lambda *a: told.append(a))
    assert told == [] and result.history == whole[1].history and result.best_epoch == whole[1].best_epoch
    assert_same(whole[0], model)


class TestCheckpoints:
    """The file alone, of a model of one weight."""

    def model(self, width: int = 1) -> keras.Model:
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(width, use_bias=False)])
        model.compile(LazyAdam(0.1), "mse")
        model.optimizer.build(model.trainable_variables)
        return model

    def saved(self, folder: Path) -> tuple[keras.Model, Checkpoints]:
        model, keeper = self.model(), Checkpoints(folder)
        model.set_weights([np.full((1, 1), 5.0)])
        model.optimizer.iterations.assign(17)
        keeper.set_model(model)
        keeper.on_epoch_end(2)
        return model, keeper

    def test_holds_weights_optimiser_and_epoch(self, tmp_path):
        self.saved(tmp_path)
        fresh = self.model()
        assert Checkpoints(tmp_path).resume(fresh) == 3
        assert fresh.get_weights()[0] == 5.0 and int(fresh.optimizer.iterations.numpy()) == 17
        assert [path.name for path in tmp_path.iterdir()] == [STATE]

    @pytest.mark.parametrize("damage", ["cut", "empty", "text"])
    def test_one_that_cannot_be_read_is_passed_over(self, tmp_path, damage):
        self.saved(tmp_path)
        content = (tmp_path / STATE).read_bytes()
        (tmp_path / STATE).write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"epoch"}[damage])
        fresh = self.model()
        before = fresh.get_weights()[0]
        assert Checkpoints(tmp_path).resume(fresh) == 0 and fresh.get_weights()[0] == before

    def test_one_of_another_model_is_passed_over(self, tmp_path):
        self.saved(tmp_path)
        assert Checkpoints(tmp_path).resume(self.model(width=2)) == 0

    def test_a_kill_while_writing_leaves_the_one_before(self, tmp_path, monkeypatch):
        model, keeper = self.saved(tmp_path)
        model.set_weights([np.full((1, 1), 9.0)])

        def cut(file, **arrays):
            file.write(b"half")
            raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(np, "savez", cut)
            keeper.on_epoch_end(3)
        fresh = self.model()
        assert Checkpoints(tmp_path).resume(fresh) == 3 and fresh.get_weights()[0] == 5.0


def test_early_stopping_leaves_the_best_epochs_weights(built):
    settings = settings_for(epochs=30, patience=2, learning_rate=0.2, learning_rate_decay="none")
    model, result = run(built, settings)
    losses = [
        a + b
        for a, b in zip(
            result.history["val_exclusive_labelled_loss"], result.history["val_rule_based_labelled_loss"], strict=True
        )
    ]
    assert result.epochs < 30 and len(losses) == result.epochs
    assert result.best_epoch == int(np.argmin(losses)) + 1 == result.epochs - 2
    heads = keras.Model(model.input, {name: model.output[name] for name in settings.objectives})
    heads.compile(loss=losses_of(settings.objectives, {}))
    total, parts = 0.0, losses_of(settings.objectives, {})
    whole_split = next(
        iter(batches([built.files["eval"]], settings.features, settings.objectives, class_counts(), batch_size=80))
    )
    outputs = heads(whole_split[0], training=False)
    total = sum(float(parts[name](whole_split[1][name], outputs[name])) for name in parts)
    assert total == pytest.approx(min(losses), rel=1e-4)
    assert total < losses[-1]


class TestBestEpoch:
    """The rule alone, on a model whose weights are the epoch's number."""

    def after(self, values: list[float], patience: int) -> tuple[BestEpoch, keras.Model]:
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        callback = BestEpoch(lambda logs: logs["v"], patience)
        callback.set_model(model)
        for epoch, value in enumerate(values):
            model.set_weights([np.full((1, 1), epoch + 1.0)])
            callback.on_epoch_end(epoch, {"v": value})
            if callback.stopped:
                break
        callback.on_train_end()
        return callback, model

    def test_stops_after_patience_epochs_that_are_no_better(self):
        callback, model = self.after([3, 2, 2.5, 2, 1, 0], patience=2)
        assert callback.stopped and callback.best_epoch == 2 and len(callback.history["v"]) == 4
        assert model.get_weights()[0] == 2.0

    def test_patience_0_never_stops(self):
        callback, model = self.after([1, 5, 5, 5, 5], patience=0)
        assert not callback.stopped and model.get_weights()[0] == 1.0

    def test_a_loss_that_is_never_a_number_keeps_the_last_weights(self):
        callback, model = self.after([float("nan")] * 3, patience=0)
        assert callback.best_epoch == 0 and model.get_weights()[0] == 3.0


class TestSettingsHaveAnEffect:
    def test_l2_clipping_and_rate_reach_the_optimiser(self, built):
        settings = tiny(("title",), model={"kind": "linear", "l2": 0.25}, training={"clip_norm": 0.5, "epochs": 2})
        model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
        heads = keras.Model(model.input, {name: model.output[name] for name in settings.objectives})
        compile_model(heads, settings.training, heads_of(settings), 100)
        assert (heads.optimizer.l2, heads.optimizer.clip_norm) == (0.25, 0.5)
        rates = [float(heads.optimizer._learning_rate(step)) for step in (0, 50, 100)]
        np.testing.assert_allclose(rates, [0.002, 0.002 * (0.98 * 0.5 + 0.02), 0.002 * 0.02], rtol=1e-4)

    def test_dropout_and_normalisation_stand_where_they_should(self, built):
        settings = tiny(("title",), model={"kind": "deep", "hidden": [8, 8], "dropout": 0.5, "normalization": "layer"})
        model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
        kinds = [type(layer).__name__ for layer in model.layers]
        assert kinds.count("Dropout") == 2 and kinds.count("LayerNormalization") == 2
        inputs = next(
            iter(batches([built.files["eval"]], settings.features, settings.objectives, class_counts(), batch_size=8))
        )[0]
        served = model(inputs, training=False)["exclusive"].numpy()
        np.testing.assert_array_equal(served, model(inputs, training=False)["exclusive"].numpy())
        assert (served != model(inputs, training=True)["exclusive"].numpy()).any()

    def test_one_objective_alone_trains_and_stops(self, built):
        settings = tiny(
            ("title",), objectives={"exclusive": {"kind": "exclusive"}}, model={"kind": "linear"},
            training={**TRAINING, "monitor": "accuracy"},
        )  # fmt: skip
        keras.utils.set_random_seed(1)
        counts = {"exclusive": 4}
        model = build_model(settings, input_sizes(settings, built.transform, counts))
        data = batches(
            [built.files["train"]], settings.features, settings.objectives, counts, batch_size=32, shuffle_seed=1
        )
        result = fit(model, settings.training, heads_of(settings), data, data, steps_per_epoch=8)
        assert result.best_epoch >= 1 and "val_exclusive_accuracy" in result.history


@pytest.mark.slow
def test_a_process_killed_by_the_system_is_resumed(built, whole, tmp_path):
    """The child says on a pipe when an epoch's checkpoint lies there; it is killed in the next one."""
    settings = settings_for(epochs=4, patience=0)
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.modules.training.killed", str(built.folder / "transform"), built.files["train"],
         built.files["eval"], str(tmp_path), settings.model_dump_json()],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    for line in child.stdout:
        if line.startswith("epoch 2"):
            os.kill(child.pid, signal.SIGKILL)
            break
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    assert (tmp_path / STATE).exists()
    told = []
    model, _ = run(built, settings, checkpoints=tmp_path, report=lambda done, *_: told.append(done))
    assert told[0] >= 3 and told[-1] == 4
    assert_same(whole[0], model)
